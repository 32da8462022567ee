"""Points where Optuna's tree-structured Parzen estimator expects good ones, from the scores of those that were tried."""

from typing import Any

from es_randomized.errors import ConfigError
from es_randomized.settings import settings
from es_randomized.trials.parameter import Parameter
from es_randomized.trials.search import Point, Search, Tried, first_new

REPEATS = 100  # suggestions of known points in a row after which there is nothing new to try


@settings
class Optuna(Search):
    """Optuna's estimator (Bergstra et al. 2011), told all scores anew for every point."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs_points()

    def next(self, tried: list[Tried]) -> Point | None:
        if len(tried) >= (self.points or 0):
            return None
        optuna = _optuna()
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self.seed + len(tried)))
        space = {name: _distribution(parameter) for name, parameter in self.parameters.items()}
        for point, score in tried:
            if score is not None:
                coded = {name: _coded(self.parameters[name], value) for name, value in point.items()}
                study.add_trial(optuna.trial.create_trial(params=coded, distributions=space, value=score))
        asked = (study.ask(space).params for _ in range(REPEATS))
        points = ({name: _decoded(self.parameters[name], code) for name, code in codes.items()} for codes in asked)
        return first_new(points, tried)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            "search.kind: optuna needs Optuna, which is not installed; install es-randomized[sweep]"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(parameter: Parameter) -> Any:
    distributions = _optuna().distributions
    if parameter.values is not None:
        return distributions.CategoricalDistribution(range(len(parameter.values)))
    (low, high), log = parameter.ends, parameter.scale == "log"
    if parameter.whole:
        return distributions.IntDistribution(int(low), int(high), log=log)
    return distributions.FloatDistribution(low, high, log=log)


def _coded(parameter: Parameter, value: Any) -> Any:
    """A value as Optuna knows it: of a list its number."""
    return value if parameter.values is None else parameter.values.index(value)


def _decoded(parameter: Parameter, code: Any) -> Any:
    return parameter.rounded(code) if parameter.values is None else parameter.values[code]
