"""How far a sweep is, for those who watch it."""

from dataclasses import dataclass, field

from es_randomized.trials.trial import Record, Trial


@dataclass
class Progress:
    """What is going on.

    Attributes:
        total: trials of the sweep.
        records: of every trial that began, by name.
        running: trials that run now.
        interrupted: whether somebody asked to stop before the end.
    """

    total: int
    records: dict[str, Record]
    running: dict[str, Trial] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def ended(self) -> int:
        """Trials that do not run any more."""
        return sum(map(self.count, ("finished", "stopped", "failed")))

    def count(self, status: str) -> int:
        """Trials of a status."""
        return sum(record.status == status for record in self.records.values())
