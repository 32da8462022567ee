"""Random schedules of failure on a cluster of several real nodes; every run must end with the reference run's exact bits.

    python -m tests.chaos --schedules 200
    python -m tests.chaos --schedules 100 --fanout groups        supervisors of machines and of their group are killed as well

A schedule is a few events at random times: a worker killed or paused, a node killed, added or drained, or given notice by its
cloud's metadata server, which its watcher reads; the coordinator killed and the run resumed. Prints a table and writes
benchmarks/results/chaos.json, or chaos_groups.json and the like, after every schedule. A soak that was stopped goes on with
`--first`: it repeats what went wrong, and says which revision ran the schedules before.
"""

import argparse
import json
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.tools.command import TINY, final_snapshot, generations_in, run, started
from tests.tools.nodes import ENVIRONMENT, Nodes, cluster

GENERATIONS = 40
RUN = [TINY, "--batch.instances", 32, "--batch.seeds", 32, "--plan.tile", 4, "--budget.generations", GENERATIONS]
EVENTS = ("kill worker", "pause worker", "kill node", "add node", "drain node", "kill coordinator", "notice")
SUPERVISED = (*EVENTS, "kill supervisor")
LIMIT = 240.0  # seconds after which a run counts as hanging


def schedule(number: int, events: tuple[str, ...] = EVENTS) -> list[tuple[int, str]]:
    """(generation, event) pairs of one schedule: the first ones have one event each, later ones are mixed."""
    chance = random.Random(number)
    kinds = [events[number]] if number < len(events) else chance.choices(events, k=chance.randrange(1, 4))
    return sorted((chance.randrange(1, GENERATIONS - 5), kind) for kind in kinds)


def act(kind: str, nodes: Nodes, process: Any, chance: random.Random) -> list[psutil.Process]:
    """Make one event happen; returns processes it paused."""
    if kind in ("kill worker", "pause worker"):
        if workers := nodes.workers():
            victim = chance.choice(workers)
            with suppress(psutil.Error):
                victim.send_signal(signal.SIGKILL if kind == "kill worker" else signal.SIGSTOP)
            return [victim] if kind == "pause worker" else []
    elif kind == "kill supervisor":
        if supervisors := nodes.supervisors():
            with suppress(psutil.Error):
                chance.choice(supervisors).kill()
    elif kind == "kill node":
        nodes.kill(chance)
        nodes.add()  # the autoscaler's answer
    elif kind == "add node":
        nodes.add()
    elif kind in ("drain node", "notice"):
        (nodes.drain if kind == "drain node" else nodes.notice)(chance)
        nodes.add()
    elif kind == "kill coordinator":
        process.send_signal(signal.SIGKILL)
    return []


def survive(
    left: list[tuple[int, str]],
    chance: random.Random,
    nodes: Nodes,
    folder: Path,
    hold: bool = False,
    fanout: str = "flat",
) -> str | None:
    """Run one schedule to its end; returns what went wrong, or None.

    Args:
        hold: stop the coordinator while an event is made, so that the run cannot end meanwhile: a new node takes seconds.
    """
    left = list(left)
    command: list[Any] = ["train", *RUN, "--run", folder]
    deadline, paused = time.monotonic() + LIMIT, []
    while True:
        where = ["--address", nodes.cluster.address, "--fanout", fanout]
        with started(*command, *where, "--no-evaluate", **ENVIRONMENT) as process:
            while process.poll() is None:
                if left and generations_in(folder) >= left[0][0]:
                    if hold:
                        process.send_signal(signal.SIGSTOP)
                    paused += act(left.pop(0)[1], nodes, process, chance)
                    if hold:
                        process.send_signal(signal.SIGCONT)
                nodes.end_leaving(time.monotonic())
                if time.monotonic() > deadline:
                    return f"did not end within {LIMIT:.0f} s, at generation {generations_in(folder)}"
                time.sleep(0.02)
            code, errors = process.returncode, process.stderr.read() if process.stderr else ""
        for victim in paused:
            with suppress(psutil.Error):
                victim.kill()
        if code == 0:
            return None
        if code != -signal.SIGKILL:
            return f"ended with {code}: {errors.strip().splitlines()[-1:]}"
        command = ["resume", folder] if (folder / "experiment.yaml").exists() else command


def reference(folder: Path) -> Path:
    """The same run in one process, undisturbed."""
    result = run("train", *RUN, "--local", "--no-evaluate", "--run", folder)
    assert result.returncode == 0, result.stderr
    return folder


def same(folder: Path, other: Path) -> bool:
    """Whether two runs have the same losses and the same final state, bit for bit."""
    journals = [(run_folder / "journal.bin").read_bytes() for run_folder in (folder, other)]
    return journals[0] == journals[1] and final_snapshot(folder) == final_snapshot(other)


def soak(numbers: list[int], before: dict[str, Any], fanout: str) -> Iterator[dict[str, Any]]:
    """Run the schedules; what is known after each of them, with what was known `before`."""
    wrong_before = {each["schedule"]: each for each in before.get("wrong", [])}
    events = EVENTS if fanout == "flat" else SUPERVISED
    known = {
        "events": [*events],
        "seconds": 0.0,
        "schedules": 0,
        "by kind": {},
        "was wrong": [],
        "earlier revisions": {},
    } | before
    by_kind, repeated, wrong = Counter(known["by kind"]), set(wrong_before) & set(numbers), []
    with tempfile.TemporaryDirectory() as temporary:
        expected = reference(Path(temporary) / "reference")
        with cluster(1 if fanout == "flat" else 2) as nodes:
            for number in numbers:
                nodes.mend()
                planned = schedule(number, events)
                folder, began = Path(temporary) / f"schedule-{number}", time.monotonic()
                what = survive(planned, random.Random(number + 10**6), nodes, folder, fanout=fanout)
                what = what or ("" if same(folder, expected) else "other bits")
                known["seconds"] += time.monotonic() - began
                print(
                    f"{number:4d}  {time.monotonic() - began:5.1f} s  {what or 'same bits'}  {planned}",
                    flush=True,
                )
                if what:
                    wrong.append({"schedule": number, "events": planned, "what": what})
                if number in repeated:
                    known["was wrong"] = [*known["was wrong"], wrong_before.pop(number)]
                else:
                    known["schedules"] += 1
                    by_kind.update(kind for _, kind in planned)
                yield (
                    known
                    | {"by kind": dict(by_kind), "wrong": [*wrong_before.values(), *wrong]}
                    | counts([*wrong_before.values(), *wrong])
                )


def counts(wrong: list[dict[str, Any]]) -> dict[str, int]:
    """How many runs ended with other bits, and how many did not end."""
    diverged = sum(each["what"] == "other bits" for each in wrong)
    return {"diverged": diverged, "failed": len(wrong) - diverged}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fanout", choices=["flat", "tree", "groups"], default="flat")
    arguments = parser.parse_args()
    from benchmarks.record import RESULTS, record, recorded

    name = "chaos" if arguments.fanout == "flat" else f"chaos_{arguments.fanout}"
    numbers, before = list(range(arguments.first, arguments.first + arguments.schedules)), {}
    if arguments.first:
        before = {"wrong": [], "earlier revisions": {}} | recorded(name)
        if before.get("events") != [*(EVENTS if arguments.fanout == "flat" else SUPERVISED)]:
            parser.error("--first cannot go on: the events were others then, and so the numbers meant other schedules")
        if before.get("schedules") != arguments.first:
            parser.error(
                f"--first goes on after {before.get('schedules', 0)} recorded schedules, not {arguments.first}"
            )
        earlier = json.loads((RESULTS / f"{name}.json").read_text())["provenance"]["revision"]
        before["earlier revisions"].setdefault(f"before {arguments.first}", earlier)
        numbers = [each["schedule"] for each in before["wrong"]] + numbers
    for results in soak(numbers, before, arguments.fanout):
        record(name, results)
    print(json.dumps(results, indent=2))
    raise SystemExit(bool(results["wrong"]))
