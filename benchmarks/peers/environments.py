"""One environment per peer, outside the repository, with the exact versions of its requirements file."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from es_randomized.compilation import default_cache

FOLDER = Path(__file__).parent


class UnavailableError(Exception):
    """A peer cannot run here; the message says why."""


def python_of(peer: str, version: str | None) -> Path:
    """The interpreter of a peer's environment, which is made if it does not exist.

    Args:
        version: of Python, as 3.12; any that runs this benchmark if None.

    Raises:
        UnavailableError: no such Python, or an installation failed.
    """
    requirements = FOLDER / peer / "requirements.txt"
    if not requirements.exists():
        return Path(sys.executable)
    folder = _environment(requirements, version)
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _call([str(_interpreter(version)), "-m", "venv", str(folder)], f"making the environment of {peer}")
        install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
        _call(install, f"installing {peer}")
        _call(
            [str(python), "-m", "compileall", "-q", "-j", "0", str(folder / "lib")], f"compiling {peer}", strict=False
        )
        (folder / "complete").touch()
    return python


def installed(peer: str, version: str | None) -> bool:
    """Whether `python_of` has nothing to make."""
    requirements = FOLDER / peer / "requirements.txt"
    return not requirements.exists() or (_environment(requirements, version) / "complete").exists()


def _environment(requirements: Path, version: str | None) -> Path:
    """The folder of the environment with exactly these requirements."""
    digest = hashlib.sha256(requirements.read_bytes() + str(version).encode()).hexdigest()[:12]
    return default_cache("peers") / f"{requirements.parent.name}-{digest}"


def _interpreter(version: str | None) -> Path:
    """A Python of this version on the path or among pyenv's."""
    if version is None or version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(getattr(sys, "_base_executable", sys.executable))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}*/bin/python")))]
    for candidate in filter(None, found):
        if subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
            return Path(candidate)
    raise UnavailableError(f"it needs Python {version}, which is not here")


def _call(command: list[str], what: str, strict: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if strict and done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise UnavailableError(f"{what} failed: {last}")
