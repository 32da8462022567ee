"""The section `driver:` of an experiment trained by an evolution strategy."""

from difflib import get_close_matches
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from es_randomized.config.kinds import WHERE
from es_randomized.schedules import Rate, Schedule
from es_randomized.settings import settings
from es_randomized.strategies.catalogue import CATALOGUE, Entry, entry_of
from es_randomized.strategies.optimizers import Optimizer


@settings
class EvolutionSettings:
    """An evolution strategy.

    Attributes:
        kind: name of the algorithm; `es-randomized strategies` lists them. Or the module of a strategy of your own.
        population: members per generation.
        std: step size, the standard deviation of a member around the centre: a number, or a schedule for algorithms
            that take one. Algorithms that adapt it themselves start from it.
        optimizer: of the centre, for algorithms that take one.
        shaping: what the algorithm sees instead of raw losses; default is the algorithm's own.
        params: the algorithm's other numbers by their evosax names.
        noise: normal; cheaper and not normal, for streamed algorithms: signs (+1 or -1), or windows of one table of
            normals, which overlap.
        rank: perturb every weight matrix by a product of two thin ones of this rank, for streamed algorithms; none: every
            entry on its own.
        past: of Past_ES, how the last gradient estimate enters the next: projection, with the weight that its slope has;
            noise_aware, with weights learned from how far two halves of every evaluation agree, for noisy losses.
        non_finite: what happens to NaN and infinite losses: ranked worst and counted, or the run stops.
    """

    kind: str = "Open_ES"
    population: Annotated[int, Field(ge=2)] = 256
    std: Rate = 0.05
    optimizer: Optimizer = Field(default_factory=Optimizer)
    shaping: Literal["default", "centred_rank", "standardise", "normalise", "weights", "identity"] = "default"
    params: dict[str, float] = Field(default_factory=dict)
    noise: Literal["normal", "signs", "table"] = "normal"
    rank: Annotated[int, Field(ge=1)] | None = None
    past: Literal["projection", "noise_aware"] = "projection"
    non_finite: Literal["rank_worst", "stop"] = "rank_worst"

    distributed: ClassVar[bool] = True  # members may be evaluated anywhere

    @field_validator("kind")
    @classmethod
    def _offered(cls, kind: str) -> str:
        entry = entry_of(kind)
        if entry is None:
            near = get_close_matches(kind, CATALOGUE, 1)
            hint = f"did you mean {near[0]}?" if near else f"`es-randomized strategies` lists them; or {WHERE}"
            raise ValueError(f"no strategy is called {kind!r}; {hint}")
        if entry.refused:
            raise ValueError(f"{kind} is not offered: {entry.refused}")
        return kind

    @property
    def entry(self) -> Entry:
        """What is known of the algorithm."""
        entry = entry_of(self.kind)
        assert entry is not None
        return entry

    def __post_init__(self) -> None:
        if self.entry.antithetic and self.population % 2:
            raise ValueError(
                f"{self.kind} draws antithetic pairs, so population must be even, but it is {self.population}; "
                f"use {self.population + 1}"
            )
        special = "noise" if self.noise != "normal" else "rank" if self.rank else None
        if special and not self.entry.streamed:
            raise ValueError(f"driver.{special} needs a streamed algorithm, which {self.kind} is not; leave it out")
        if self.past != "projection" and self.kind != "Past_ES":
            raise ValueError(f"driver.past is of Past_ES, and {self.kind} has no past direction; leave it out")
        if self.noise != "normal" and self.rank:
            raise ValueError(f"driver.rank draws normal factors, so driver.noise cannot be {self.noise}; leave one out")
        if isinstance(self.std, Schedule) and not self.entry.scheduled:
            raise ValueError(f"{self.kind} takes no schedule of its step size; give std as one number, its start")
