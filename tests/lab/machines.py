"""A lab of machines on this one: each has its own network, processes, host name, /tmp, /run and memory files.

They reach each other and nothing else. All are namespaces of Linux, so root is needed; nothing outside of them is changed.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
USER, UID = "ops", 2001
OTHER = "nobody"
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CODE = ("es_randomized", "cluster", "requirements.lock", "pyproject.toml")
TIED = ("setpriv", "--pdeathsig", "KILL")  # a machine ends with this process, however that ends
PATIENCE = 400.0  # seconds; machines that share two cores are slow

# An init that reaps what is left to it.
INIT = """
hostname {name}
mount --make-rprivate /
{keep}
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /home
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
{cover}
for file in passwd group shadow hosts; do mount --bind {state}/$file.{name} /etc/$file; done
mkdir -p /home/{user}
mount --bind {home} /home/{user}
for folder in /var/spool /var/log /run; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir -m 755 /run/sshd /run/munge /run/slurm /run/lock
ip link set lo up
touch /run/booted
while :; do sleep 3600 & wait $!; done
"""


class Lab:
    """Machines by name, with addresses in this order; a context that ends them all.

    Args:
        own_homes: every machine has a home folder of its own instead of one that all see.
        debian: a machine's own name is 127.0.1.1 in its /etc/hosts, as Debian and Ubuntu install it.
    """

    def __init__(self, names: Sequence[str], *, own_homes: bool = False, debian: bool = False) -> None:
        self.names, self._own_homes, self._debian = tuple(names), own_homes, debian
        self.state = Path(tempfile.mkdtemp(prefix="esr-lab-", dir="/run"))
        self._outer: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Lab":
        try:
            self._start_switch()
            for name in self.names:
                self.start(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in [*self._outer]:
            self.kill(name)
        shutil.rmtree(self.state, ignore_errors=True)

    def address(self, name: str) -> str:
        return f"10.77.0.{self.names.index(name) + 1}"

    def home(self, name: str) -> Path:
        """Of the lab's user on a machine, as it is seen from outside."""
        return self.state / "homes" / (name if self._own_homes else "shared")

    def start(self, name: str) -> None:
        """Switch a machine on."""
        home = self.home(name)
        if not home.exists():
            home.mkdir(parents=True, mode=0o700)
            os.chown(home, UID, UID)
        self._write_etc(name)
        keep, cover = _visible([Path(sys.prefix), Path(sys.base_prefix)], self.state)
        script = INIT.format(name=name, state=self.state, home=home, user=USER, keep=keep, cover=cover)
        spaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        with open(self.state / f"{name}.log", "ab") as log:
            self._outer[name] = subprocess.Popen(
                [*TIED, "unshare", *spaces, "bash", "-ec", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(lambda: self._booted(name), f"{name} to start: {self.state}/{name}.log")
        number, switch = self.names.index(name) + 1, str(self._pid("switch"))
        # Linux takes a lost machine's plug away some time after the machine.
        subprocess.run(["nsenter", "-t", switch, "-n", "ip", "link", "del", f"v{number}"], stderr=subprocess.DEVNULL)
        for line in (
            f"link add v{number} type veth peer name eth0 netns {self._pid(name)}",
            f"link set v{number} master br0",
            f"link set v{number} up",
        ):
            subprocess.run(["nsenter", "-t", switch, "-n", "ip", *line.split()], check=True)
        self.run(name, f"ip addr add {self.address(name)}/24 dev eth0; ip link set eth0 up", root=True)

    def kill(self, name: str) -> None:
        """Take the power from a machine: with its first process everything on it is gone."""
        outer = self._outer.pop(name)
        with suppress(ProcessLookupError, IndexError):
            os.kill(_children(outer.pid)[0], 9)
        outer.kill()
        outer.wait()

    def cut(self, name: str, up: bool = False) -> None:
        """Pull a machine's network plug, or put it in again."""
        link = f"v{self.names.index(name) + 1}"
        command = ["nsenter", "-t", str(self._pid("switch")), "-n", "ip", "link", "set", link, "up" if up else "down"]
        subprocess.run(command, check=True)

    def plug_in(self, name: str) -> None:
        self.cut(name, up=True)

    def command(self, name: str, script: str, *, root: bool = False, user: str = USER) -> list[str]:
        """How to run a shell script on a machine, as its user in the home folder unless told otherwise."""
        user = "root" if root else user
        home = {"root": "/root", USER: f"/home/{USER}"}.get(user, "/")
        environment = {"PATH": PATHS, "HOME": home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8", "COLUMNS": "200"}
        change = [] if root else ["setpriv", "--reuid", user, "--regid", _group(user), "--init-groups"]
        variables = [f"{key}={value}" for key, value in environment.items()]
        enter = ["nsenter", "-t", str(self._pid(name)), "-a", "--", "env", "-i", *variables, *change]
        return [*enter, "bash", "-c", f"cd {home}\n{script}"]

    def run(
        self,
        name: str,
        script: str,
        *,
        root: bool = False,
        user: str = USER,
        check: bool = True,
        timeout: float = PATIENCE,
    ) -> str:
        """What a script on a machine writes.

        Raises:
            AssertionError: it failed, where that is not expected.
        """
        command = self.command(name, script, root=root, user=user)
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert result.returncode == 0 or not check, f"{name}: {script}\n{result.stdout}"
        return result.stdout.strip()

    def clone(self, name: str, folder: str = "es_randomized") -> Path:
        """The project as a user of the machine would have it, with the packages that these tests run with."""
        target = self.home(name) / folder
        target.mkdir()
        for part in CODE:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        shutil.copy(ROOT / "tests" / "tiny.yaml", target)
        (target / ".venv").symlink_to(sys.prefix)
        self.give(target)
        return target

    def give(self, path: Path) -> None:
        """Make files of a home the user's own."""
        subprocess.run(["chown", "-hR", f"{UID}:{UID}", path], check=True)

    def rays(self, name: str) -> list[str]:
        """Command lines of Ray's processes on a machine."""
        found = self.run(
            name,
            "ps -e -o args | grep -E 'raylet|gcs_server|ray::|ray/(dashboard|autoscaler|_private)' | grep -v grep",
            check=False,
        )
        return found.splitlines()

    def _start_switch(self) -> None:
        self._outer["switch"] = subprocess.Popen(
            [*TIED, "unshare", "--net", "--fork", "--kill-child", "sleep", "infinity"], stdin=subprocess.DEVNULL
        )
        wait_until(lambda: bool(_children(self._outer["switch"].pid)), "the switch")
        script = "ip link set lo up; ip link add br0 type bridge; ip link set br0 up"
        subprocess.run(["nsenter", "-t", str(self._pid("switch")), "-n", "sh", "-ec", script], check=True)

    def _pid(self, name: str) -> int:
        return _children(self._outer[name].pid)[0]

    def _booted(self, name: str) -> bool:
        assert self._outer[name].poll() is None, (self.state / f"{name}.log").read_text()
        return bool(_children(self._outer[name].pid)) and Path(f"/proc/{self._pid(name)}/root/run/booted").exists()

    def _write_etc(self, name: str) -> None:
        lines = {
            "passwd": f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/bash",
            "group": f"{USER}:x:{UID}:",
            "shadow": f"{USER}:*:19000:0:99999:7:::",
        }
        for file, line in lines.items():
            target = self.state / f"{file}.{name}"
            target.write_text(Path(f"/etc/{file}").read_text().rstrip("\n") + f"\n{line}\n")
            target.chmod(0o600 if file == "shadow" else 0o644)
        hosts = ["127.0.0.1 localhost", *([f"127.0.1.1 {name}"] if self._debian else [])]
        hosts += [f"{self.address(other)} {other}" for other in self.names]
        (self.state / f"hosts.{name}").write_text("\n".join(hosts) + "\n")


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience:.0f} s for {what}"
        time.sleep(0.3)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _group(user: str) -> str:
    return "nogroup" if user == OTHER else user


def _visible(paths: list[Path], state: Path) -> tuple[str, str]:
    """Shell lines that let everybody on a machine see paths that only root sees here, or in folders that it has of its own.

    Returns:
        those before the machine's own /tmp is there, and those after.
    """
    keep, cover, covered = [], [], set()
    for number, path in enumerate(paths):
        hidden = next((each for each in [*reversed(path.parents), path] if not each.stat().st_mode & 0o001), None)
        if hidden is None and not path.is_relative_to("/tmp") and not path.is_relative_to("/home"):
            continue
        kept = shlex.quote(f"{state}/keep{number}")
        keep.append(f"mkdir -p {kept}; mount --bind {shlex.quote(str(path))} {kept}")
        if hidden is not None and hidden not in covered:
            covered.add(hidden)
            cover.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(hidden))}")
        cover.append(f"mkdir -p {shlex.quote(str(path))}; mount --bind {kept} {shlex.quote(str(path))}")
    return "\n".join(keep), "\n".join(cover)
