"""Commands on a cluster: submitted to Ray's job server with a copy of the current folder, watched, stopped."""

import asyncio
import logging
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from es_randomized.distributed.ray_internals import HEAD_IS_STARTING, TOO_LARGE, files_sent
from es_randomized.errors import ClusterError, suggest
from es_randomized.own_folder import home

LEFT_OUT = ["/runs", "/reproduction"]  # of the folder that is sent, besides .git, .venv and what .gitignore names
PATIENCE = 180.0  # seconds to wait for a head that is still starting; on a busy machine it takes minutes
REQUEST_TIMEOUT = (10.0, 60.0)  # seconds for a connection, and without a byte of an answer
UNFINISHED = ("PENDING", "RUNNING")
SILENCE = 15.0  # seconds to wait for the first connection and for the first answer
NAMED = 5  # of the files of a folder that is too large
WORD = "command"  # of a job's metadata: what was submitted
TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Node(NamedTuple):
    """A machine of the cluster: its address, whether it is the head, whether it answers, and what it has."""

    address: str
    head: bool
    alive: bool
    resources: dict[str, float]


class TokenError(ClusterError):
    """A cluster that answers, but does not accept the token."""


class SilenceError(ClusterError):
    """A cluster that takes a connection and says nothing, or not in time: it may be up."""


class Job(NamedTuple):
    """A submitted command: its status is PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED; times in seconds since 1970."""

    name: str
    command: str
    status: str
    started: float
    ended: float | None


def authenticate(create: bool) -> None:
    """Make this process, and what it starts, show a token to every cluster; call it before Ray is imported.

    Args:
        create: make the user's token if there is none.

    Raises:
        ClusterError: there is no token, or none can be made.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)  # Ray would prefer them to the address it is given
    ask_no_proxy()
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if os.environ.get("RAY_AUTH_TOKEN") or Path(named or home() / ".ray" / "auth_token").is_file():
        return
    if named or not create:
        where = f"the file {named} that RAY_AUTH_TOKEN_PATH names" if named else "~/.ray/auth_token"
        raise ClusterError(
            f"no token in {where}; `es-randomized cluster up` makes one, or take the cluster's: set one of {', '.join(TOKENS)}"
        )
    command = [sys.executable, "-m", "ray.scripts.scripts", "get-auth-token", "--generate"]
    # Ray itself would let everybody read it
    made = subprocess.run(command, capture_output=True, text=True, umask=0o077)
    if made.returncode:
        reason = made.stderr.strip().splitlines()[-1:]
        raise ClusterError(
            f"cannot make a token in {home() / '.ray' / 'auth_token'}: {''.join(reason) or 'Ray does not say why'}; "
            f"set HOME to a folder you may write to, or set one of {', '.join(TOKENS)}"
        )


def ask_no_proxy() -> None:
    """Reach this machine's own addresses, and tunnels that begin there, directly: a proxy would be shown the token."""
    already = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, (already, *LOOPBACK)))


class Jobs:
    """The job server at an address such as http://127.0.0.1:8265; see `connected`."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    def submit(self, arguments: list[str], runs: str) -> str:
        """Run `es-randomized ARGUMENTS` on the head node, in a copy of the current folder; returns the job's name.

        In that copy `runs/` is the folder `runs` (shell text) of the head node, which stays when the copy is thrown away. A
        clone of this project brings its code along; from any other folder the package that the machines have is run.

        Raises:
            ClusterError: the folder is too large to be sent.
        """
        command = shlex.join(["python", "-m", "es_randomized", *arguments])
        patient_until = time.monotonic() + PATIENCE
        while True:
            try:
                return str(
                    self._client.submit_job(
                        entrypoint=f"mkdir -p {runs} && ln -sfn {runs} runs && exec {command}",
                        submission_id=f"{arguments[0]}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}",
                        runtime_env={"working_dir": ".", "excludes": LEFT_OUT},
                        metadata={WORD: shlex.join(arguments)},
                    )
                )
            except (RuntimeError, ValueError) as error:
                if any(words in str(error) for words in TOO_LARGE):
                    raise ClusterError(_too_large(Path.cwd())) from error
                if HEAD_IS_STARTING not in str(error) or time.monotonic() > patient_until:
                    raise
                time.sleep(1.0)

    def nodes(self) -> list[Node]:
        """Every machine that is or was there."""
        from ray.util.state import list_nodes

        nodes = list_nodes(address=self._address)
        return [Node(node.node_ip, node.is_head_node, node.state == "ALIVE", node.resources_total) for node in nodes]

    def all(self) -> list[Job]:
        """Every submitted job, oldest first."""
        return sorted(
            (
                Job(
                    job.submission_id,
                    job.metadata.get(WORD, job.entrypoint),
                    str(job.status),
                    job.start_time / 1e3,
                    job.end_time and job.end_time / 1e3,
                )
                for job in self._client.list_jobs()
                if job.submission_id
            ),
            key=lambda job: job.started,
        )

    def find(self, name: str | None) -> Job:
        """The job of that name, or the newest.

        Raises:
            ClusterError: there is none.
        """
        jobs = self.all()
        if not jobs:
            raise ClusterError("nothing was submitted to this cluster yet")
        by_name = {job.name: job for job in jobs}
        if name is not None and name not in by_name:
            raise ClusterError(f"no job is called {name}; {suggest(name, list(by_name))}")
        return by_name[name] if name else jobs[-1]

    def logs(self, name: str) -> str:
        """What the job has written so far."""
        return str(self._client.get_job_logs(name))

    def follow(self, name: str, show: Callable[[str], None]) -> None:
        """Show what the job has written and writes, until it ends."""

        async def follow() -> None:
            async for text in self._client.tail_job_logs(name):
                show(text)

        asyncio.run(follow())

    def stop(self, name: str) -> None:
        """End a job; its run folder keeps everything up to the last whole generation."""
        self._client.stop_job(name)


@contextmanager
def connected(address: str) -> Iterator[Jobs]:
    """The job server at an address.

    Raises:
        TokenError: it refuses the token.
        SilenceError: it does not answer in time.
        ClusterError: it cannot be reached, or refuses what is asked of it.
    """
    import requests
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient
    from ray.util.state.exception import RayStateApiException

    class Client(JobSubmissionClient):
        """Ray's own would wait for ever for a machine that is gone."""

        def _do_request(self, *arguments: Any, **options: Any) -> Any:
            return super()._do_request(*arguments, timeout=REQUEST_TIMEOUT, **options)

    logging.disable(logging.WARNING)  # Ray lists every file it does not send
    try:
        _check_answers(address)
        yield Jobs(Client(address), address)
    except AuthenticationError:
        raise TokenError(
            f"the cluster at {address} does not accept this token; take the one it was started with: its ~/.ray/auth_token, "
            f"or set one of {', '.join(TOKENS)}"
        ) from None
    except requests.Timeout as error:
        patience = f"no answer for {REQUEST_TIMEOUT[1]:.0f} s; is its machine still there?"
        raise SilenceError(f"the job server at {address}: {patience}") from error
    except (OSError, RuntimeError, ValueError, RayStateApiException) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ClusterError(f"the job server at {address}: {reason}") from error
    finally:
        logging.disable(logging.NOTSET)


def _too_large(folder: Path) -> str:
    sizes = {str(path.relative_to(folder)): path.stat().st_size / 2**20 for path in files_sent(folder, LEFT_OUT)}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:NAMED]
    return (
        f"the current folder is too large to be sent with a command: {sum(sizes.values()):.1f} MiB in {len(sizes):,} files. "
        f"The largest: {', '.join(f'{name} ({sizes[name]:.1f} MiB)' for name in largest)}. Name what is not needed in "
        ".gitignore, or move it away; large data is better kept where the machines can read it"
    )


def _check_answers(address: str) -> None:
    """Raises SilenceError where nobody says anything, sooner than later requests do. Any answer will do: Ray judges it."""
    import requests

    try:
        requests.get(f"{address}/api/version", timeout=SILENCE, allow_redirects=False)
    except requests.Timeout:
        raise SilenceError(
            f"the job server at {address} does not answer within {SILENCE:.0f} s; check the address, and that the cluster is up"
        ) from None
    except requests.RequestException:
        return
