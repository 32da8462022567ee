"""The strategy that an experiment searches with, and what it is refused for."""

from es_randomized.compilation import Compiler
from es_randomized.config.experiment import Experiment
from es_randomized.config.kinds import class_of
from es_randomized.drivers import plan
from es_randomized.errors import ConfigError, MemoryBudgetError
from es_randomized.fitness import weight_shapes
from es_randomized.strategies.evolution_settings import EvolutionSettings
from es_randomized.strategies.strategy import SearchSpace, Strategy, bytes_of


def search_settings(experiment: Experiment) -> EvolutionSettings:
    """The section `driver:` of an experiment that a strategy can train.

    Raises:
        ConfigError: it names no strategy, or asks for sampled actions where a task has none.
    """
    settings, task = experiment.driver, experiment.task
    if not isinstance(settings, EvolutionSettings):
        raise ConfigError(f"driver.kind: {settings.kind} is no evolution strategy")
    if settings.temperature and not task.samples_actions:
        raise ConfigError(
            f"driver.temperature is about sampled actions, but {type(task).__name__} has no sampled_rollout; leave it out"
        )
    return settings


def strategy_of(settings: EvolutionSettings, experiment: Experiment, compiler: Compiler) -> Strategy:
    """The strategy of an experiment whose block is resolved.

    Raises:
        MemoryBudgetError: what it asks for, or remembers, does not fit.
    """
    shapes, side_by_side = weight_shapes(experiment.model, experiment.task), int(experiment.plan.block) > 1
    space = SearchSpace(shapes, experiment.seed, experiment.budget.generations, side_by_side, experiment.first)
    cls: type[Strategy] = class_of("driver", settings.kind)
    strategy = cls(settings, space)
    _check_memory(strategy, experiment.plan.memory_mib, compiler)
    return strategy


def _check_memory(strategy: Strategy, memory_mib: int, compiler: Compiler) -> None:
    """Refuse a population matrix, or a state of the strategy's own, that cannot fit, before anything tries to allocate it."""
    needed, available = bytes_of(strategy.proposal_shape()), compiler.free_bytes()
    if needed > min(memory_mib * plan.MIB, available):
        why = ", memory ~ parameters²" if strategy.quadratic else ""
        raise MemoryBudgetError(
            f"{strategy.options.kind} needs {needed / plan.MIB:,.0f} MiB to ask for {strategy.population} members x "
            f"{strategy.parameters} parameters{why}, but plan.memory_mib is {memory_mib} and {available // plan.MIB} MiB are "
            "free; use a smaller population or model, a streamed algorithm such as Open_ES, or raise plan.memory_mib if there "
            "is memory"
        )
