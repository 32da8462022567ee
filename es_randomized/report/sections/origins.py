"""The settings in which groups differ, and when, with what and where every run was trained."""

from es_randomized.config.yaml import dump, write_yaml
from es_randomized.report import tables
from es_randomized.report.material import RunGroup
from es_randomized.report.section import Section


def sections(groups: list[RunGroup]) -> list[Section]:
    """Settings and origin, with all settings of every group to open."""
    different = tables.settings(groups)
    listings = {f"All settings of {group.name}": write_yaml(dump(group.experiment)) for group in groups}
    shown = [*([different] if different else []), tables.origins(groups)]
    return [Section("origins", "Settings and origin", [], shown, [], listings)]
