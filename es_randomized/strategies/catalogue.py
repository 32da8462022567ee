"""Every strategy of the package by its kind: those of algorithms/, evosax's (0.3.2, read in its source), and those refused."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any, NamedTuple

from es_randomized.errors import ConfigError
from es_randomized.settings import settings
from es_randomized.strategies import algorithms
from es_randomized.strategies.evolution_settings import ShapedSettings
from es_randomized.strategies.evosax_adapter import EvosaxStrategy
from es_randomized.strategies.strategy import Strategy

Number = float | int | None


class Evosax(NamedTuple):
    """An algorithm of evosax that is offered as it is.

    Attributes:
        summary: one line for `es-randomized strategies`.
        numbers: its options under evosax's names with evosax's defaults; None where that follows from population and parameters.
        optimizer: takes an optimizer for its centre.
        scheduled: takes a schedule of its step size.
        quadratic: memory grows with the square of the number of parameters.
    """

    summary: str
    numbers: Mapping[str, Number] = MappingProxyType({})
    optimizer: bool = False
    scheduled: bool = False
    quadratic: bool = False


COVARIANCE: dict[str, Number] = {"std_min": 0.0, "std_max": 1e8, "c_mean": 1.0} | dict.fromkeys(
    ("mu_eff", "c_std", "d_std", "c_c", "c_1", "c_mu", "chi_n")
)
BOUNDED: dict[str, Number] = {"std_min": 0.0, "std_max": 10.0, "std_meta": 2.0}
EVOSAX = {
    "ESMC": Evosax("antithetic with a baseline at the centre (Merchant 2021)", optimizer=True, scheduled=True),
    "CMA_ES": Evosax("full covariance (Hansen 2016); up to about 2,000 parameters", COVARIANCE, quadratic=True),
    "CR_FM_NES": Evosax(
        "separable plus rank one, cost-reduced natural gradient (Nomura 2022)",
        dict.fromkeys(("mu_eff", "c_std", "c_c", "c1", "chi_n", "h_inv", "alpha_dist"))
        | {"lr_mean": 1.0, "lr_move_std": 1.0}
        | dict.fromkeys(("lr_stag_std", "lr_conv_std", "lr_B")),
    ),
    "Rm_ES": Evosax(
        "covariance from a few evolution paths (Li & Zhang 2017)",
        COVARIANCE | {"std_min": 1e-3, "c_std": 0.3, "d_std": 1.0, "T": 20, "q_star": 0.3},
    ),
    "SimpleES": Evosax("Gaussian with recombination of the best (Rechenberg 1978)", {"c_std": 0.1}, optimizer=True),
    "DiscoveredES": Evosax(
        "recombination weights found by meta-evolution (Lange 2023)", {"lr_std": 0.1}, optimizer=True
    ),
    "LearnedES": Evosax("recombination by attention, meta-evolved (Lange 2023)"),
    "GradientlessDescent": Evosax(
        "best of several radii around the incumbent, which std does not set (Golovin 2019)",
        {"radius_min": 0.001, "radius_max": 0.2, "radius_decay": 5.0},
    ),
    "HillClimbing": Evosax("the best member replaces the incumbent if it improves", scheduled=True),
    "SimulatedAnnealing": Evosax(
        "hill climbing that sometimes accepts worse (Rasdi 2016)",
        {"temperature_init": 1.0, "temperature_limit": 0.1, "temperature_decay": 0.999, "boltzmann_constant": 5.0},
        scheduled=True,
    ),
    "SimpleGA": Evosax("elites, crossover, Gaussian mutation (Such 2017)", {"crossover_rate": 0.0}, scheduled=True),
    "MR15_GA": Evosax(
        "genetic algorithm, 1/5 success rule (Rechenberg 1978)",
        {"std_min": 0.0, "std_max": float("inf"), "std_ratio": 0.2},
    ),
    "SAMR_GA": Evosax(
        "genetic algorithm, self-adapted mutation rates (Clune 2008)", BOUNDED | {"std_best_limit": 1e-4}
    ),
    "GESMR_GA": Evosax("genetic algorithm, mutation rates in groups (Kumar 2022)", BOUNDED),
    "DifferentialEvolution": Evosax(
        "differences of members (Storn & Price 1997)",
        {
            "elitism": True,
            "crossover_rate": 0.9,
            "differential_weight": 0.8,
            "differential_weight_min": 0.8,
            "differential_weight_max": 0.8,
        },
    ),
    "PSO": Evosax(
        "particle swarm (Kennedy & Eberhart 1995)", {"inertia_coeff": 0.75, "cognitive_coeff": 1.5, "social_coeff": 2.0}
    ),
}
_UNSORTED = "evosax applies rank-ordered weights to unsorted members; use "
_SPREAD = "evosax adds the step size to a spread that starts at 1 whatever is asked for"
_UNROLLS = "it is for truncated unrolls that carry a task state between generations; use Open_ES"
_SEVERAL = "it evolves several populations, which one run does not hold; run a sweep over seeds"
REFUSED = {
    "xNES": "evosax takes an elementwise exponential of the matrix, so its covariance stays diagonal; use SNES",
    "MA_ES": f"{_UNSORTED}CMA_ES",
    "LM_MA_ES": f"{_UNSORTED}Rm_ES",
    "iAMaLGaM_Univariate": _SPREAD,
    "iAMaLGaM_Full": _SPREAD,
    "GuidedES": "it stretches coordinate 0 unless a gradient is put into its state before every generation",
    "ASEBO": "it builds a parameters x parameters matrix from gradients it has not seen yet; use Open_ES",
    "PersistentES": _UNROLLS,
    "NoiseReuseES": _UNROLLS,
    "EvoTF_ES": "its transformer reads the whole history of the run at every generation",
    "CMAAnchoredLES": "its learned gates were trained for other dimensions and are not validated here",
    "LearnedGA": "it standardises the losses of its first population, which has none yet: NaN from then on",
    "DiffusionEvolution": "its schedule fixes the number of generations before the run",
    "RandomSearch": "it never learns from losses; train with any strategy and learning rate near 0 instead",
    "SV_CMA_ES": _SEVERAL,
    "SV_Open_ES": _SEVERAL,
}


def names() -> list[str]:
    """Every kind that is offered: the package's own, then evosax's."""
    return [_class_in(file).__name__ for file in _files()] + list(EVOSAX)


def named(kind: str) -> type[Strategy] | None:
    """The strategy of the package that is called `kind`; None where there is none.

    Raises:
        ConfigError: it is refused.
    """
    if kind in REFUSED:
        raise ConfigError(f"driver.kind: {kind} is not offered: {REFUSED[kind]}")
    if kind in EVOSAX:
        return _of_evosax(kind)
    cls = _class_in(kind.lower()) if kind.lower() in _files() else None
    return cls if cls and cls.__name__ == kind else None


def _files() -> list[str]:
    return [module.name for module in iter_modules(algorithms.__path__)]


def _class_in(file: str) -> type[Strategy]:
    """The class of algorithms/<file>.py whose name in lower case is the file's."""
    module = import_module(f"{algorithms.__name__}.{file}")
    named = [value for name, value in vars(module).items() if name.lower() == file and isinstance(value, type)]
    assert len(named) == 1
    assert issubclass(named[0], Strategy)
    return named[0]


@cache
def _of_evosax(kind: str) -> type[Strategy]:
    entry = EVOSAX[kind]
    types = {name: float | None if value is None else type(value) for name, value in entry.numbers.items()}
    fields: dict[str, Any] = {"kind": kind, **entry.numbers, "__annotations__": {"kind": str, **types}}
    body: dict[str, Any] = {
        "__doc__": entry.summary,
        "Settings": settings(type("Settings", (ShapedSettings,), fields | {"__qualname__": f"{kind}.Settings"})),
        "scheduled": entry.scheduled,
        "takes_optimizer": entry.optimizer,
        "quadratic": entry.quadratic,
    }
    return type(kind, (EvosaxStrategy,), body)
