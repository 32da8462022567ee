"""The numbers of every group of runs, side by side and one by one."""

from es_randomized.report import tables
from es_randomized.report.material import RunGroup
from es_randomized.report.section import Section


def sections(groups: list[RunGroup]) -> list[Section]:
    """Tables of what was evaluated."""
    evaluated = [group for group in groups if group.summaries]
    if not evaluated:
        return []
    alone = len(evaluated) == 1
    results = [] if alone else [tables.side_by_side(evaluated)]
    results += [tables.results(group, references=alone) for group in evaluated]
    text = ["Square brackets hold intervals. “95th percentile” is the instance at the worst 5 %."]
    return [Section("results", "Results", text, results)]
