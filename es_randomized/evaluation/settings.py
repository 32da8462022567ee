"""The section `evaluation:` of an experiment."""

from typing import Annotated

from pydantic import Field

from es_randomized.settings import settings

Votes = Annotated[int, Field(ge=2)]


@settings
class Evaluation:
    """How a trained policy is scored.

    Attributes:
        seeds: fresh seeds every instance is run on (or runs, where the randomness comes from elsewhere).
        votes: sizes of the majority votes and of best-of-k; each at most half of `seeds`, so that a vote can be
            repeated and has an interval.
        instances: random instances where the task cannot list them all; rounded up to whole bundles.
        confidence: of every interval.
    """

    seeds: Annotated[int, Field(ge=2)] = 400
    votes: list[Votes] = Field(default_factory=lambda: [5, 30, 100])
    instances: Annotated[int, Field(ge=1)] = 10_000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    def __post_init__(self) -> None:
        too_many = [k for k in self.votes if 2 * k > self.seeds]
        if too_many:
            raise ValueError(
                f"votes of {too_many[0]} need at least {2 * too_many[0]} evaluation seeds, but seeds is {self.seeds}"
            )
