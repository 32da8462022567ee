"""What training cost, run by run."""

from es_randomized.report import tables
from es_randomized.report.material import RunGroup
from es_randomized.report.section import Section


def sections(groups: list[RunGroup]) -> list[Section]:
    """The ledgers of all runs in one table."""
    return [Section("costs", "Cost of training", tables=[tables.costs(groups)])]
