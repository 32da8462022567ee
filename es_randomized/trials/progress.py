"""How far trials are, for those who watch."""

from dataclasses import dataclass, field

from es_randomized.trials.trial import Records


@dataclass
class Progress:
    """What is going on.

    Attributes:
        total: trials there are, at most.
        records: of every trial that began.
        running: generations of the trials that run now, by name.
    """

    total: int
    records: Records
    running: dict[str, int] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """Trials that do not run any more."""
        return sum(map(self.count, ("finished", "stopped", "failed")))

    @property
    def completed(self) -> float:
        """Trials that ended, with the fractions of those that run."""
        return self.ended + sum(self.records[name].generation / budget for name, budget in self.running.items())

    def count(self, status: str) -> int:
        """Trials of a status."""
        return sum(record.status == status for record in self.records.values())
