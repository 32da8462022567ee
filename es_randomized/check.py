"""Will a run fit an accelerator, and how fast can it be there? Its programs are compiled for it and looked at; none runs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from es_randomized.accelerators.bounds import bounds
from es_randomized.accelerators.device_type import CompilerOf, DeviceType
from es_randomized.accelerators.hlo import Module, Work
from es_randomized.config.experiment import Experiment
from es_randomized.config.sections import Plan
from es_randomized.device_memory import DoesNotFitError, memory_bytes
from es_randomized.drivers.blocks import Candidate, candidates
from es_randomized.drivers.driver import Driver, Program
from es_randomized.drivers.evolution import Evolution
from es_randomized.drivers.kinds import driver_of
from es_randomized.drivers.plan import MIB
from es_randomized.errors import ConfigError, MemoryBudgetError
from es_randomized.evaluation.evaluate import evaluation_bundles, own_randomness, runner_of, vote_sizes
from es_randomized.evaluation.randomness import repeated_runs

SMALLER_BLOCKS = (16, 4, 1)  # tried in this order where a plan does not fit


@dataclass(frozen=True)
class Compiled:
    """One program as it was compiled.

    Attributes:
        name: for people.
        calls: in a generation; 0 for what is not part of one.
        memory: bytes of arguments, temporaries and results.
        work: of one call.
        flops: of its matrix products in one call, by the ledger; 0 where there are none to speak of.
    """

    name: str
    calls: int
    memory: int
    work: Work
    flops: float


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        experiment: with its plan for the device; of the phase, where it has phases.
        programs: of a generation, and those of evaluation.
        members: of a generation; 1 with gradient descent.
        blocks: that were tried where the plan left them open, the one that was taken first.
    """

    device: DeviceType
    experiment: Experiment
    programs: tuple[Compiled, ...]
    members: int
    blocks: tuple[Candidate, ...] = ()

    @property
    def memory(self) -> int:
        """Bytes that the largest program takes."""
        return max(program.memory for program in self.programs)

    @property
    def fits(self) -> bool:
        """Whether the device can hold every program."""
        return self.memory <= self.device.usable

    @property
    def moved(self) -> float:
        """Bytes that evaluating a member moves."""
        first = self.programs[0]
        return first.work.bytes * first.calls / self.members

    @property
    def flops(self) -> float:
        """Of the matrix products of a member."""
        first = self.programs[0]
        return first.flops * first.calls / self.members

    def seconds(self, program: Compiled) -> tuple[float, str]:
        """That one call takes at least, and why."""
        least = bounds(program.work, program.flops, self.device, self.experiment.model.precision)
        why = max(least, key=lambda name: least[name])
        return least[why], why

    def rate(self, devices: int) -> float:
        """Members, or steps of gradient descent, a second at most: nobody waits for anything else."""
        generation = sum(ceil(each.calls / devices) * self.seconds(each)[0] for each in self.programs)
        return self.members / generation

    def dollars(self, devices: int, an_hour: float) -> float:
        """For 1e9 evaluations of a member at least; all devices are paid while they wait for the last."""
        return 1e9 / self.rate(devices) / 3600 * devices * an_hour


def check(experiment: Experiment, compiler: CompilerOf) -> list[Check]:
    """Compile all programs of a run for one device: of every phase, where it has phases.

    Raises:
        ConfigError: its driver does not say which programs it runs.
        MemoryBudgetError: its plan cannot be made for that device.
    """
    evaluation = tuple(_compiled(program, compiler) for program in _evaluation(experiment))
    return [replace(each, programs=(*each.programs, *evaluation)) for each in training(experiment, compiler)]


def fitting(experiment: Experiment, compiler: CompilerOf) -> Plan | None:
    """The nearest plan with which a run fits where its own does not: chunks as memory has it, then smaller blocks and tiles."""
    roomy = replace(experiment.plan, memory_mib=max(1, compiler.device.usable // MIB))
    for plan in (
        replace(roomy, chunk="auto"),
        *(replace(roomy, chunk="auto", block=block) for block in SMALLER_BLOCKS),
        replace(roomy, chunk="auto", tile="auto", block=1),
    ):
        try:
            checks = training(replace(experiment, plan=plan), compiler)
        except MemoryBudgetError:
            continue
        if all(each.fits for each in checks):
            return replace(checks[0].experiment.plan, memory_mib=plan.memory_mib)
    return None


def training(experiment: Experiment, compiler: CompilerOf) -> list[Check]:
    """The same without evaluation, which follows no plan."""
    driver = driver_of(experiment, compiler=compiler)
    return [_of_part(part, driver.at(part.first), compiler) for part in experiment.by_phase or [experiment]]


def _of_part(part: Experiment, driver: Driver, compiler: CompilerOf) -> Check:
    programs = driver.programs()
    if not programs:
        raise ConfigError(
            f"{type(driver).__name__} does not say which programs it runs, so nothing can be said of them; define its method "
            "programs()"
        )
    members = driver.strategy.population if isinstance(driver, Evolution) else 1
    blocks = _blocks(part, compiler) if isinstance(driver, Evolution) and part.plan.block == "auto" else ()
    compiled = tuple(_compiled(program, compiler) for program in programs)
    return Check(compiler.device, driver.experiment, compiled, members, blocks)


def _blocks(part: Experiment, compiler: CompilerOf) -> tuple[Candidate, ...]:
    return tuple(candidates(partial(Evolution.with_block, part, compiler), compiler))


def _compiled(program: Program, compiler: CompilerOf) -> Compiled:
    try:
        compiled = compiler.compile(program.function, *program.arguments)
    except DoesNotFitError as error:
        return Compiled(program.name, program.calls, error.wanted, Work(), program.flops)
    work = Module(compiled.as_text()).work
    return Compiled(program.name, program.calls, memory_bytes(compiled), work, program.flops)


def _evaluation(experiment: Experiment) -> Iterator[Program]:
    """What scoring the answer runs, block by block."""
    weights = jax.eval_shape(lambda: _flat(experiment))
    runs = repeated_runs(
        experiment, jnp.zeros((1, *weights.shape)), own_randomness(experiment), experiment.evaluation.seeds
    )
    runner: Any = runner_of(experiment)(experiment.task, experiment.model)
    bundles, _ = evaluation_bundles(experiment)
    function, arguments = runner.program(runs, np.asarray(bundles), vote_sizes(experiment, runs.size))
    yield Program("block of the evaluation", function, arguments, 0)


def _flat(experiment: Experiment) -> Any:
    weights = experiment.model.init(jax.random.key(0), experiment.task.interface)
    return jax.flatten_util.ravel_pytree(weights)[0]
