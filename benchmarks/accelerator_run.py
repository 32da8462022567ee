"""Everything that is to be known of an accelerator, measured on it within eight minutes.

    python -m benchmarks.accelerator_run [--minutes 8] [--tiny]

Whether every kernel computes there what it computes on a CPU; members a second of every task and model by block, with the bounds
of `check` beside; low-rank members with the update against plain inference at width 8192; a population of 16,384 networks of 1.2
million weights; how the 5 × 5 hunt learns. Every section is a process of its own: it has all of the memory, and a failure is its
own. Writes benchmarks/results/accelerator_run.json and a page beside it. --tiny is a small version for CPUs.
"""

import json
import subprocess
import sys
import time
from typing import Any

import click

from benchmarks import record as records
from benchmarks.accelerator_sections import SECTIONS, TINY, WHOLE

# Of the time that is left a section may take as many parts of all that later ones may take too.
SHARES = {"right": 2.0, "fast": 3.0, "low rank": 1.0, "memory": 1.0, "learning": 2.0}
RESULT = "result: "  # how the line begins on which a section writes what it found
GRACE = 30.0  # seconds to start, and to finish what was begun


@click.command(help=__doc__)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=8.0, help="For all sections.")
@click.option("--tiny", is_flag=True, help="A small version.")
@click.option("--inside", type=click.Choice(list(SECTIONS)), hidden=True)
@click.option("--left", type=float, default=60.0, hidden=True)
def main(minutes: float, tiny: bool, inside: str | None, left: float) -> None:
    if inside:
        _measure(inside, tiny, left)
        return
    end, results = time.monotonic() + 60 * minutes, dict[str, Any]()
    for name in SECTIONS:
        shares = sum(list(SHARES.values())[list(SHARES).index(name) :])
        left = (end - time.monotonic()) * SHARES[name] / shares
        began = time.monotonic()
        results[name] = _in_a_process(name, tiny, left)
        print(f"{name}: {results[name].get('failed') or 'done'}, {time.monotonic() - began:.0f} s", flush=True)
        path = records.record("accelerator_run", results)
    page = path.with_suffix(".md")
    page.write_text(page_of(json.loads(path.read_text())))
    print(f"everything: {path} and {page}")
    if failed := [name for name, found in results.items() if "failed" in found]:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _measure(name: str, tiny: bool, left: float) -> None:
    from es_randomized import compilation

    compilation.configure()
    import jax

    found = SECTIONS[name](TINY if tiny else WHOLE, left)
    print(RESULT + json.dumps({"device": jax.devices()[0].device_kind} | found), flush=True)


def _in_a_process(name: str, tiny: bool, left: float) -> dict[str, Any]:
    """What a section found, or why it found nothing."""
    command = [sys.executable, "-m", "benchmarks.accelerator_run", "--inside", name, "--left", str(max(0.0, left))]
    try:
        done = subprocess.run(
            [*command, *(["--tiny"] if tiny else [])], capture_output=True, text=True, timeout=max(0.0, left) + GRACE
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"it took more than {left:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if done.returncode or not lines:
        return {"failed": "\n".join(done.stderr.strip().splitlines()[-3:]) or f"it ended with {done.returncode}"}
    found: dict[str, Any] = json.loads(lines[-1].removeprefix(RESULT))
    return found


def page_of(recorded: dict[str, Any]) -> str:
    """Everything on one page (Markdown)."""
    results, where = recorded["results"], recorded["provenance"]
    device = next((found["device"] for found in results.values() if "device" in found), "no device")
    packages = where["packages"]
    parts = [f"# {device}\n\n{where['date']}, revision {where['revision']}, jax {packages['jax']}\n"]
    for name, found in results.items():
        parts.append(f"## {TITLES[name]}\n")
        parts.append(f"failed: {found['failed']}\n" if "failed" in found else PAGES[name](found))
    return "\n".join(parts)


TITLES = {
    "right": "Losses here against a CPU's",
    "fast": "Members a second",
    "low rank": "Low-rank members against plain inference",
    "memory": "A population that no memory holds",
    "learning": "The 5 × 5 hunt",
}


def _right(found: dict[str, Any]) -> str:
    rows = [
        (name, f"{row['the same']:.0%}", f"{row['largest difference']:.1e}", f"{row['the same, as usual']:.0%}")
        for name, row in _rows(found)
    ]
    return _table(("", "the same", "largest difference", "the same with usual products"), rows)


def _fast(found: dict[str, Any]) -> str:
    rows = []
    for name, row in _rows(found):
        most = row.get("members/s at most")
        bound = (f"{most:,.0f}", f"{row['members/s'] / most:.0%}") if most else ("", "")
        rows.append(
            (name, f"{row['members/s']:,.0f}", *bound, f"{row['MiB']:,.0f}", f"{row['seconds to compile']:.1f}")
        )
    return _table(("", "members/s", "at most, by `check`", "of that", "MiB", "s to compile"), rows)


def _low_rank(found: dict[str, Any]) -> str:
    rows = [(name, f"{1e3 * row['seconds']:,.1f}", f"{row['of plain inference']:.0%}") for name, row in _rows(found)]
    title = f"Width {found['width']:,}, {found['members']:,} members.\n\n"
    return title + _table(("", "ms", "of plain inference"), rows)


def _memory(found: dict[str, Any]) -> str:
    peak = found.get("device_peak_bytes", found["peak_bytes"]) / 2**30
    return (
        f"{found['population']:,} members of {found['parameters']:,} weights, a matrix of {found['matrix_bytes'] / 1e9:,.1f} GB: "
        f"{peak:.2f} GiB at most, {found['evaluation_seconds']:.1f} s and {found['update_seconds']:.1f} s for the update.\n"
    )


def _learning(found: dict[str, Any]) -> str:
    rows = [(f"{generation:,}", f"{seconds:.1f}", f"{loss:.2f}") for generation, seconds, loss in found["curve"]]
    levels = f"{found['generations']:,} generations; the centre then has {found['average']:.2f} steps on average, "
    return f"{levels}{found['worst']:.2f} at worst.\n\n" + _table(("generation", "s", "mean loss of members"), rows)


PAGES = {"right": _right, "fast": _fast, "low rank": _low_rank, "memory": _memory, "learning": _learning}


def _rows(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, row) for name, row in found.items() if isinstance(row, dict)]


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
