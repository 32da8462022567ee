"""One page about runs: self-contained HTML that reads on a phone, on paper and aloud, and its figures as PNG files."""

import base64
import datetime
from collections.abc import Sequence
from pathlib import Path

from es_randomized.errors import StorageError
from es_randomized.report.material import RunGroup, missing, read
from es_randomized.report.section import Section
from es_randomized.report.sections import SECTIONS, sweep
from es_randomized.report.sweep.trials import read_trials
from es_randomized.runs.folder import RunFolder

PAGE = "index.html"


def write_page(folders: list[RunFolder], out: Path, sweeps: Sequence[Path] = ()) -> Path:
    """Write `index.html` and a PNG for every figure on it into the folder `out`; returns the page.

    Args:
        sweeps: folders of sweeps, shown before the runs.

    Raises:
        RunFolderError: a folder holds no run, or is damaged.
        ConfigError: the runs do not belong on one page.
        StorageError: it cannot be written.
    """
    groups = read(folders) if folders else []
    sections = [
        section
        for index, folder in enumerate(sweeps)
        for section in sweep.sections(f"sweep-{index}", read_trials(folder))
    ]
    sections += [section for make in SECTIONS if groups for section in make(groups) if not section.empty]
    page = html(groups, sections, [folder.resolve().name for folder in sweeps])
    try:
        out.mkdir(parents=True, exist_ok=True)
        for figure in (figure for section in sections for figure in section.figures):
            (out / f"{figure.name}.png").write_bytes(figure.png)
        (out / PAGE).write_text(page)
    except OSError as error:
        raise StorageError(f"cannot write into {out}: {error.strerror}; choose another folder with --out") from error
    return out / PAGE


def html(groups: list[RunGroup], sections: list[Section], sweeps: list[str]) -> str:
    """The page itself; everything on it is escaped by the template."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("es_randomized.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = lambda png: base64.b64encode(png).decode()
    return environment.get_template("page.html").render(
        title=", ".join([*sweeps, *(group.name for group in groups)]),
        about=_about(groups, len(sweeps)),
        written=datetime.datetime.now(datetime.UTC),
        missing=[text for group in groups for run in group.members if (text := missing(run))],
        sections=sections,
    )


def _about(groups: list[RunGroup], sweeps: int) -> str:
    runs = sum(len(group.members) for group in groups)
    counts = [
        f"{count} {what}{'s' if count > 1 else ''}" for count, what in ((sweeps, "sweep"), (runs, "run")) if count
    ]
    return ", ".join([*(type(group.experiment.task).__name__ for group in groups[:1]), *counts])
