"""Every algorithm: what it needs, or why it is refused. All but Past_ES are evosax's (0.3.2, read in its source and measured)."""

from typing import NamedTuple

from es_randomized.config.kinds import is_module, only_class
from es_randomized.strategies.strategy import Strategy


class Entry(NamedTuple):
    """What is known of one algorithm.

    Attributes:
        summary: one line for `es-randomized strategies`.
        antithetic: members come as antithetic pairs, so the population must be even.
        optimizer: takes an optimizer for its centre.
        quadratic: memory grows with the square of the number of parameters.
        population_based: keeps a population instead of a distribution; its centre is the best member it holds.
        streamed: its population never exists as a matrix; see streamed.py.
        own: not evosax's: past_directions.py, or a strategy of the user's.
        scheduled: takes a schedule of its step size; the others adapt it from a start or do without.
        refused: why it is not offered.
    """

    summary: str
    antithetic: bool = False
    optimizer: bool = False
    quadratic: bool = False
    population_based: bool = False
    scheduled: bool = False
    streamed: bool = False
    own: bool = False
    refused: str | None = None


def _refused(reason: str) -> Entry:
    return Entry("", refused=reason)


CATALOGUE: dict[str, Entry] = {
    "Open_ES": Entry(
        "OpenAI-ES: isotropic, antithetic, any optimizer (Salimans 2017)",
        antithetic=True,
        optimizer=True,
        scheduled=True,
        streamed=True,
    ),
    "PGPE": Entry(
        "one step size per parameter, antithetic (Sehnke 2010); the paper's",
        antithetic=True,
        optimizer=True,
        streamed=True,
    ),
    "SNES": Entry("separable natural evolution strategy (Wierstra 2014)", optimizer=True, streamed=True),
    "ARS": Entry(
        "augmented random search: only the best directions count (Mania 2018)",
        antithetic=True,
        optimizer=True,
        scheduled=True,
        streamed=True,
    ),
    "Past_ES": Entry(
        "orthogonal pairs, one along the last gradient estimate (Meier 2019); not from evosax",
        antithetic=True,
        optimizer=True,
        scheduled=True,
        own=True,
    ),
    "ESMC": Entry("antithetic with a baseline at the centre (Merchant 2021)", optimizer=True, scheduled=True),
    "Sep_CMA_ES": Entry("CMA-ES with a diagonal covariance (Ros & Hansen 2008)", streamed=True),
    "CMA_ES": Entry("full covariance (Hansen 2016); up to about 2,000 parameters", quadratic=True),
    "CR_FM_NES": Entry("separable plus rank one, cost-reduced natural gradient (Nomura 2022)"),
    "Rm_ES": Entry("covariance from a few evolution paths (Li & Zhang 2017)"),
    "SimpleES": Entry("Gaussian with recombination of the best (Rechenberg 1978)", optimizer=True),
    "DiscoveredES": Entry("recombination weights found by meta-evolution (Lange 2023)", optimizer=True),
    "LearnedES": Entry("recombination by attention, meta-evolved (Lange 2023)"),
    "GradientlessDescent": Entry(
        "best of several radii around the incumbent, set in params, not by std (Golovin 2019)"
    ),
    "HillClimbing": Entry("the best member replaces the incumbent if it improves", scheduled=True),
    "SimulatedAnnealing": Entry("hill climbing that sometimes accepts worse (Rasdi 2016)", scheduled=True),
    "SimpleGA": Entry("elites, crossover, Gaussian mutation (Such 2017)", population_based=True, scheduled=True),
    "MR15_GA": Entry("genetic algorithm, 1/5 success rule (Rechenberg 1978)", population_based=True),
    "SAMR_GA": Entry("genetic algorithm, self-adapted mutation rates (Clune 2008)", population_based=True),
    "GESMR_GA": Entry("genetic algorithm, mutation rates in groups (Kumar 2022)", population_based=True),
    "DifferentialEvolution": Entry("differences of members (Storn & Price 1997)", population_based=True),
    "PSO": Entry("particle swarm (Kennedy & Eberhart 1995)", population_based=True),
    "xNES": _refused(
        "evosax takes an elementwise exponential of the matrix, so its covariance stays diagonal; use SNES"
    ),
    "MA_ES": _refused("evosax applies rank-ordered weights to unsorted members; use CMA_ES"),
    "LM_MA_ES": _refused("evosax applies rank-ordered weights to unsorted members; use Rm_ES"),
    "iAMaLGaM_Univariate": _refused("evosax adds the step size to a spread that starts at 1 whatever is asked for"),
    "iAMaLGaM_Full": _refused("evosax adds the step size to a spread that starts at 1 whatever is asked for"),
    "GuidedES": _refused("it stretches coordinate 0 unless a gradient is put into its state before every generation"),
    "ASEBO": _refused("it builds a parameters x parameters matrix from gradients it has not seen yet; use Open_ES"),
    "PersistentES": _refused("it is for truncated unrolls that carry a task state between generations; use Open_ES"),
    "NoiseReuseES": _refused("it is for truncated unrolls that carry a task state between generations; use Open_ES"),
    "EvoTF_ES": _refused("its transformer reads the whole history of the run at every generation"),
    "CMAAnchoredLES": _refused("its learned gates were trained for other dimensions and are not validated here"),
    "LearnedGA": _refused("it standardises the losses of its first population, which has none yet: NaN from then on"),
    "DiffusionEvolution": _refused("its schedule fixes the number of generations before the run"),
    "RandomSearch": _refused("it never learns from losses; train with any strategy and learning rate near 0 instead"),
    "SV_CMA_ES": _refused("it evolves several populations, which one run does not hold; run a sweep over seeds"),
    "SV_Open_ES": _refused("it evolves several populations, which one run does not hold; run a sweep over seeds"),
}


def entry_of(kind: str) -> Entry | None:
    """What is known of an algorithm, also of one in a module of the user's; None for what is neither.

    Raises:
        ConfigError: the module cannot be imported or does not define one whole strategy.
    """
    if kind in CATALOGUE or not is_module(kind):
        return CATALOGUE.get(kind)
    antithetic = own_strategy(kind).antithetic
    return Entry("a strategy of your own", antithetic=antithetic, optimizer=True, scheduled=True, own=True)


def own_strategy(module: str) -> type[Strategy]:
    """The strategy that a module of the user's defines; see `entry_of`."""
    return only_class(module, Strategy, "driver.kind")  # type: ignore[type-abstract]
