"""What is known of a run: everything that findings are made of."""

from dataclasses import dataclass, field

from es_randomized.config.experiment import Experiment
from es_randomized.doctor.closeup import Closeup
from es_randomized.doctor.path import Way
from es_randomized.doctor.seeds import SeedUse
from es_randomized.doctor.settling import Settling
from es_randomized.doctor.signal import Agreement
from es_randomized.doctor.spread import Spread


@dataclass(frozen=True)
class Measured:
    """Measurements of a run; None or empty where one could not be made.

    Attributes:
        experiment: resolved; of a run with phases that of the newest one, which all measurements are of.
        phase: its number; None in a run without phases.
        parameters: number of weights.
        generations: so far, of the phase.
        directions: rows of noise in a generation; None for gradient descent.
        early, late: losses of the first and of the last third of the generations, of the members.
        agreement: of the updates of two halves of a population, or of the gradients of two batches.
        way: of the centre.
        closeups: of some centres, from the first to the newest.
        settling: of the last centres.
        seeds: of the newest weights.
        held_out: average and worst of the checks, oldest first.
        missing: what could not be measured, and why.
    """

    experiment: Experiment
    parameters: int
    generations: int
    phase: int | None = None
    directions: int | None = None
    early: Spread | None = None
    late: Spread | None = None
    agreement: Agreement | None = None
    way: Way | None = None
    closeups: tuple[Closeup, ...] = ()
    settling: Settling | None = None
    seeds: SeedUse | None = None
    held_out: tuple[tuple[float, float], ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
