"""The command `es-randomized`. Commands live in their own files and load what they need when they run."""

import errno
import logging
import signal
import sys
from pathlib import Path

import click
from rich.text import Text

from es_randomized.cli.bench import bench_command
from es_randomized.cli.branch import branch_command, replay_command
from es_randomized.cli.check import check_command
from es_randomized.cli.cluster import cluster_command
from es_randomized.cli.compare import compare_command
from es_randomized.cli.console import console_of
from es_randomized.cli.doctor import doctor_command
from es_randomized.cli.evaluate import evaluate_command
from es_randomized.cli.export import export_command
from es_randomized.cli.interruption import exit_status, watched
from es_randomized.cli.own_code import own_traceback
from es_randomized.cli.preflight import preflight_command
from es_randomized.cli.report import report_command
from es_randomized.cli.reproduce import reproduce_command
from es_randomized.cli.show import show_command, strategies_command
from es_randomized.cli.sweep import sweep_command
from es_randomized.cli.train import resume_command, train_command
from es_randomized.errors import UserError

EPILOG = "Everything about a run is in its folder; your cache keeps compiled programs and copies of runs at addresses."


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="es-randomized")
def cli() -> None:
    """Discover randomized algorithms by evolution strategies on Ray.

    A transformer is given a random seed with its input and is trained so that no input is bad for it. An experiment is a
    YAML file; training makes a run folder that can be resumed, shown and evaluated.

    \b
    First steps:
      es-randomized train configs/demo.yaml         train, evaluate, draw
      es-randomized show configs/demo.yaml          what that will cost
      es-randomized check configs/demo.yaml --target v6e   whether it fits there, how fast at best
      es-randomized resume runs/demo-...            go on after Ctrl-C or a crash
      es-randomized evaluate runs/demo-...          score and draw again
      es-randomized doctor runs/demo-...            what holds it back, and which setting to try
      es-randomized report runs/demo-...            everything about it on one page
      es-randomized compare runs/a runs/b           whether two runs differ
      es-randomized branch runs/demo-... --at 100   another run from there
      es-randomized strategies                      what can be named under driver.kind
      es-randomized reproduce fig3                  a figure of the paper with our runs beside its values
      es-randomized sweep configs/sweeps/demo.yaml  many trials, one table
      es-randomized cluster up local                a cluster, to which commands are submitted
      es-randomized bench                           how fast a cluster is, and what more workers would do
    """


COMMANDS = (
    train_command,
    resume_command,
    evaluate_command,
    doctor_command,
    report_command,
    compare_command,
    export_command,
    show_command,
    check_command,
    strategies_command,
    reproduce_command,
    sweep_command,
    branch_command,
    replay_command,
    cluster_command,
    preflight_command,
    bench_command,
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point: user errors end in one message and status 1, signals in 128 + signal, neither with a traceback."""
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    logging.basicConfig(format="%(message)s", handlers=[console])
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it finds a place for its cache by itself
    sys.path.append(str(Path.cwd()))  # tasks and strategies of your own; last, so that they hide no installed module
    with watched() as signals:
        status = _run(signals)
        if signals:
            status = exit_status(signals[0])
    sys.exit(status)


def _run(signals: list[int]) -> int:
    """The command's exit status; what ends it early is said in one message.

    Args:
        signals: that came to this process so far.
    """
    try:
        return cli(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return exit_status(signal.SIGINT)
    except UserError as error:
        _say(error)
    except OSError as error:  # wherever a file cannot be read or written: not this user's, or a full disk
        _say(_of_file(error))
    except BaseException as error:  # JAX makes another exception of what a signal raises inside a callback
        place = own_traceback(error) if isinstance(error, Exception) else None
        if not signals and place is None:
            raise
        if not signals:
            _say(f"code of your own raised {type(error).__name__}\n{place}")
    return 1


def _say(error: object) -> None:
    message = Text.assemble(("error:", "bold red"), f" {error}")
    console_of(stderr=True).print(message, highlight=False, soft_wrap=True)


def _of_file(error: OSError) -> str:
    """What could not be done with which file, and whose permission is missing."""
    what = f"{error.filename}: " if error.filename else ""
    whose = _whose(error.filename) if error.errno == errno.EACCES and isinstance(error.filename, str) else ""
    return f"{what}{error.strerror or error}{whose}"


def _whose(path: str) -> str:
    try:
        return f"; it belongs to {Path(path).owner()}, who may give permission"
    except (OSError, KeyError):
        return "; ask the owner of the folder for permission"
