"""`train` and `resume`."""

import datetime
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from es_randomized.cli.overrides import parse_overrides
from es_randomized.cli.places import RUN_LOCATION, RunLocation, new_run, training

CLUSTER_OPTIONS = [
    click.option("--workers", type=click.IntRange(1), help="Ray workers; one per accelerator or core by default."),
    click.option(
        "--devices-per-worker", "devices", type=click.IntRange(1), help="Accelerators, or else cores, of a worker; 1."
    ),
    click.option("--address", help="Join this running Ray cluster (or `auto`) instead of starting a local one."),
    click.option("--local", is_flag=True, help="Do without Ray: evaluate in this process, on all its devices."),
    click.option("--dashboard-port", type=click.IntRange(1, 65535), help="Serve Ray's dashboard on this local port."),
    click.option(
        "--track",
        multiple=True,
        help="Send curves there, besides TensorBoard: wandb, mlflow or a module with a class from Tracker.",
    ),
    click.option("--evaluate/--no-evaluate", default=True, help="Evaluate and draw when training ends."),
]


def _with_cluster_options(function: Any) -> Any:
    for option in reversed(CLUSTER_OPTIONS):
        function = option(function)
    return function


@click.command("train", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--run", "run", type=RUN_LOCATION, help="Run folder or s3:// address; runs/<config>-<time> by default.")
@_with_cluster_options
@click.pass_context
def train_command(context: click.Context, config: Path, run: RunLocation | None, **cluster: Any) -> None:
    """Train the experiment in CONFIG, a YAML file.

    Any setting can be changed on the command line by its dotted name, for example
    --driver.population 512 --objective.q 4 --seed 1.

    Ctrl-C finishes the generation in hand, saves and says how to resume.
    """
    from es_randomized.config.yaml import load

    experiment = load(config, parse_overrides(context.args))
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    with new_run(run or Path("runs") / f"{config.stem}-{stamp}") as folder:
        folder.refuse_existing()
        _train(folder, experiment, experiment.budget.seconds, **cluster)


@click.command("resume")
@click.argument("run", type=RUN_LOCATION)
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop again after this much training time.")
@_with_cluster_options
def resume_command(run: RunLocation, seconds: float | None, **cluster: Any) -> None:
    """Continue the training of RUN, a run folder or address, exactly where it stopped, however it stopped."""
    with training(run) as folder:
        _train(folder, folder.experiment(), seconds, **cluster)


def _train(
    folder: Any,
    experiment: Any,
    seconds: float | None,
    workers: int | None,
    address: str | None,
    local: bool,
    dashboard_port: int | None,
    evaluate: bool,
    devices: int | None,
    track: tuple[str, ...],
) -> None:
    from es_randomized.cli.evaluate import evaluate_run
    from es_randomized.tracking.kinds import check_installed

    check_installed(track)
    console = Console()
    local = local or _stays_here(experiment, workers, address, dashboard_port, devices)
    with ExitStack() as stack:
        if not local:
            from es_randomized.distributed.session import connect

            console.print("starting Ray ..." if not address else f"joining the Ray cluster at {address} ...")
            stack.enter_context(connect(workers and workers * (devices or 1), address, dashboard_port))
        reason = _train_with(folder, experiment, seconds, (workers, devices or 1), local, track, console)
    if evaluate and reason != "interrupted":
        evaluate_run(folder, console)
    elif reason != "finished":
        console.print(f"resume with: es-randomized resume {folder.name}", soft_wrap=True)


def _stays_here(experiment: Any, *cluster: Any) -> bool:
    """Whether the driver has no members to hand out; refuses options that ask for a cluster then."""
    if experiment.driver.distributed:
        return False
    if any(option is not None for option in cluster):
        from es_randomized.errors import ConfigError

        raise ConfigError(
            f"driver.kind {experiment.driver.kind} runs in this process on one device; leave out --workers, --address "
            "and the like, or choose an evolution strategy"
        )
    return True


def _train_with(
    folder: Any,
    experiment: Any,
    seconds: float | None,
    pool: tuple[int | None, int],
    local: bool,
    track: tuple[str, ...],
    console: Console,
) -> str:
    """Train in the current Ray session or in this process; returns why training stopped."""
    from es_randomized import compilation
    from es_randomized.cli.display import showing
    from es_randomized.drivers.kinds import driver_of
    from es_randomized.session import logging_to, run_session

    compilation.configure(platform=None if local else "cpu")  # accelerators of the cluster are the workers'
    if not local:
        from es_randomized.distributed.resolution import resolved_there

        experiment = resolved_there(experiment, pool[1])
    driver = driver_of(experiment)
    console.print(driver.title)
    if not folder.experiment_file.exists():
        folder.create(driver.experiment)
    with logging_to(folder.log_file), _evaluator(driver, pool, local, console) as evaluator:
        console.print(f"run folder: {folder.name}", soft_wrap=True)
        budget, workers = driver.experiment.budget, evaluator.workers
        with (
            _trackers(folder, track, None if local else workers, console) as curves,
            showing(console, budget, seconds, workers) as show,
        ):

            def take(row: dict[str, Any]) -> None:
                show(row)
                curves(row)

            session = run_session(folder, driver, evaluator, take, seconds)
    console.print(f"{session.reason} after {session.generation} generations")
    return session.reason


def _trackers(folder: Any, names: tuple[str, ...], workers: Any, console: Console) -> Any:
    """TensorBoard, Ray's metrics where there are `workers`, and what was asked for."""
    from es_randomized.tracking.kinds import trackers

    def gauges() -> Any:
        from es_randomized.distributed.gauges import Gauges

        return Gauges(folder.path.name, workers)

    more = {"Prometheus": gauges} if workers else {}
    return trackers(folder, names, lambda text: console.print(f"warning: {text}", soft_wrap=True), more)


def _evaluator(driver: Any, pool: tuple[int | None, int], local: bool, console: Console) -> Any:
    if local:
        from es_randomized.drivers.local_evaluator import local_evaluator

        return local_evaluator(driver)
    from es_randomized.distributed.evaluator import RayEvaluator

    evaluator = RayEvaluator(driver, *pool)
    console.print(f"{len(evaluator.pool.ready)} workers ready")
    return evaluator
