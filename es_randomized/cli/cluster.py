"""`cluster`: start machines, send them commands, watch and end them, through Ray's own launcher and job server."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from es_randomized.cli.console import console_of
from es_randomized.cli.overrides import parse_overrides
from es_randomized.config.yaml import load
from es_randomized.errors import ClusterError, ConfigError, suggest
from es_randomized.trials.sweep import load_sweep

if TYPE_CHECKING:
    from es_randomized.clusters.jobs import Job, Jobs
    from es_randomized.clusters.targets import Target

PATIENCE = 1200.0  # seconds for the machines that `up` waits for


@click.group("cluster")
def cluster_command() -> None:
    """Start a cluster, send it commands, watch it, end it.

    TARGET names a file of cluster/ (`local` is cluster/local.yaml), is the path of such a file, or the address of a job
    server that is reachable from here, such as http://127.0.0.1:8265.

    \b
      es-randomized cluster up local
      es-randomized cluster submit local train configs/demo.yaml
      es-randomized cluster logs local --follow
      es-randomized cluster down local
    """


@cluster_command.command("up")
@click.argument("target")
@click.option("--restart", is_flag=True, help="Start Ray again although TARGET is up; this ends its jobs.")
def up_command(target: str, restart: bool) -> None:
    """Start TARGET, or bring it to what its file says now. It runs, and costs, until `down`.

    Where it is up already and its file did not change, nothing on it is touched. A change that would end jobs is refused.
    """
    cluster = _target(target, create_token=True)
    console = console_of()
    console.print(f"starting {target} ...")
    cluster.up(restart)
    with cluster.job_server() as address:
        _wait_for_nodes(address, cluster.nodes, console)
    _print_nodes(target, cluster, console)
    click.echo(f"submit a command with: es-randomized cluster submit {target} train configs/demo.yaml")


@cluster_command.command("down")
@click.argument("target")
def down_command(target: str) -> None:
    """End TARGET and everything that runs on it. What was not fetched from its machines is lost."""
    _target(target).down()
    click.echo(f"{target} is down")


@cluster_command.command("submit", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("target")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.pass_context
def submit_command(context: click.Context, target: str, command: tuple[str, ...]) -> None:
    """Run COMMAND, as in `train configs/demo.yaml --seed 1`, on TARGET, in a copy of the current folder.

    It goes on when this machine is switched off. Its runs/ is kept on the head node, or give an address such as
    --run s3://bucket/run.
    """
    arguments = _checked(context, list(command))
    with _jobs(target) as (jobs, cluster):
        name = jobs.submit(arguments, cluster.runs)
    click.echo(f"submitted {name}\nwatch it with: es-randomized cluster logs {target} {name} --follow")


@cluster_command.command("preflight", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("target")
@click.argument("config")
@click.pass_context
def preflight_command(context: click.Context, target: str, config: str) -> None:
    """Try every machine of TARGET before CONFIG runs on it; the exit status is 1 if one fails or differs.

    Submits `preflight CONFIG`, whose options work here too, and shows what it writes: one line a machine.
    """
    arguments = _checked(context, ["preflight", config, *context.args])
    with _jobs(target) as (jobs, cluster):
        name = jobs.submit(arguments, cluster.runs)
        _follow(jobs, name)


@cluster_command.command("status")
@click.argument("target")
def status_command(target: str) -> None:
    """The machines of TARGET and what was submitted to it."""
    console = console_of()
    cluster = _target(target)
    jobs = _print_nodes(target, cluster, console)
    for job in jobs:
        seconds = (job.ended or time.time()) - job.started
        console.print(
            f"  {job.name}  {job.status.lower()}  {seconds:.0f} s  {job.command}", soft_wrap=True, markup=False
        )
    if not jobs:
        console.print("  nothing was submitted yet")


@cluster_command.command("logs")
@click.argument("target")
@click.argument("job", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends; the exit status is then 1 if it failed.")
def logs_command(target: str, job: str | None, follow: bool) -> None:
    """What JOB, or else the newest job of TARGET, has written."""
    with _jobs(target) as (jobs, _):
        name = jobs.find(job).name
        if not follow:
            click.echo(jobs.logs(name), nl=False)
            return
        _follow(jobs, name)


@cluster_command.command("stop")
@click.argument("target")
@click.argument("job", required=False)
def stop_command(target: str, job: str | None) -> None:
    """End JOB, or else the newest job of TARGET; the machines stay. `submit TARGET resume RUN` continues its run."""
    with _jobs(target) as (jobs, _):
        name = jobs.find(job).name
        jobs.stop(name)
    click.echo(f"stopped {name}")


def _follow(jobs: "Jobs", name: str) -> None:
    """Show what a job writes until it ends; the exit status is then 1 if it failed."""
    jobs.follow(name, lambda text: click.echo(text, nl=False))
    status = jobs.find(name).status
    if status != "SUCCEEDED":
        click.echo(f"{name} {status.lower()}", err=True)
        sys.exit(1)


def _target(name: str, create_token: bool = False) -> "Target":
    try:
        from es_randomized.clusters.jobs import authenticate
        from es_randomized.clusters.targets import target_of

        cluster = target_of(name)
        authenticate(create_token)
        import ray.job_submission  # noqa: F401
    except ImportError as error:
        raise ClusterError(f"clusters need Ray: pip install 'ray[default]' ({error})") from None
    return cluster


@contextmanager
def _jobs(target: str) -> Iterator[tuple["Jobs", "Target"]]:
    """The job server of a target, and the target."""
    cluster = _target(target)
    from es_randomized.clusters.jobs import connected

    with cluster.job_server() as address, connected(address) as jobs:
        yield jobs, cluster


def _wait_for_nodes(address: str, wanted: int, console: Console) -> None:
    """Wait until the machines that are there from the beginning are: a run takes its kind of accelerator from them."""
    from es_randomized.clusters.jobs import connected

    deadline, seen = time.monotonic() + PATIENCE, 0
    while time.monotonic() < deadline:
        with connected(address) as jobs:
            there = sum(node.alive for node in jobs.nodes())
        if there >= wanted:
            return
        if there > seen:
            console.print(f"{there} of {wanted} nodes are there ...")
            seen = there
        time.sleep(2.0)
    console.print(f"{seen} of {wanted} nodes are there after {PATIENCE / 60:.0f} minutes; the launcher goes on trying")


def _print_nodes(name: str, target: "Target", console: Console) -> list["Job"]:
    """Print the machines of a target; returns its jobs."""
    from es_randomized.clusters.jobs import connected

    with target.job_server() as address, connected(address) as jobs:
        nodes, submitted = jobs.nodes(), jobs.all()
    alive = [node for node in nodes if node.alive]
    totals = {kind: sum(node.resources.get(kind, 0) for node in alive) for kind in ("CPU", "GPU", "TPU")}
    has = ", ".join(f"{total:g} {kind}" for kind, total in totals.items() if total)
    lost = f", {len(nodes) - len(alive)} lost" if len(alive) < len(nodes) else ""
    count = f"{len(alive)} node{'s' if len(alive) > 1 else ''}"
    console.print(f"{name}: {count}{lost}, {has}; job server and dashboard {address}", soft_wrap=True)
    return submitted


def _checked(context: click.Context, arguments: list[str]) -> list[str]:
    """The arguments of a command that can run as they are, with the cluster's address where it takes one.

    Raises:
        ConfigError: there is no such command, or it names something the cluster will not see.
    """
    commands = {name: command for name, command in context.find_root().command.commands.items() if name != "cluster"}  # type: ignore[attr-defined]
    name, *rest = arguments
    if name not in commands:
        raise ConfigError(f"{name}: no such command to submit; {suggest(name, list(commands))}")
    parsed = commands[name].make_context(name, list(rest), parent=context)
    for parameter in commands[name].params:
        value = parsed.params.get(parameter.name)
        values = value if isinstance(value, tuple) else (value,)
        outside = [path for path in values if isinstance(path, Path) and path.is_absolute()]
        if isinstance(parameter, click.Argument) and outside:
            raise ConfigError(f"{outside[0]}: commands run in a copy of the current folder; give a path inside it")
    if name in ("train", "preflight"):
        load(parsed.params["config"], parse_overrides(parsed.args))
    if name == "sweep":
        load_sweep(parsed.params["config"])
    takes_address = "address" in parsed.params and not (parsed.params["address"] or parsed.params.get("local"))
    return [*arguments, "--address", "auto"] if takes_address else arguments
