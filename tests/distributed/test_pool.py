"""Who may work together: the pool's checks of what a worker says of itself, without a cluster."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from es_randomized.config.kinds import class_of
from es_randomized.distributed.compatibility import check_compatible
from es_randomized.distributed.pool import end_worker, not_started
from es_randomized.distributed.worker import WorkerInfo
from es_randomized.errors import ClusterError, ConfigError
from es_randomized.runs.provenance import deciding_versions


def check(worker, *others, mixed=False):
    check_compatible(worker, others, deciding_versions(), mixed)


def info(device="cpu", **versions):
    return WorkerInfo("0123456789abcdef", device, "cpu", deciding_versions() | versions, 4711, 1)


def test_a_worker_like_this_process_is_welcome():
    check(info())


@pytest.mark.parametrize("package", ["jax", "optax", "the source of es-randomized"])
def test_another_version_is_refused_with_what_differs(package):
    with pytest.raises(
        ClusterError, match=f"machine 01234567 has {package} 0.0.1, but this process has .*install the same"
    ):
        check(info(**{package: "0.0.1"}))


def test_another_kind_of_device_is_refused_unless_it_was_asked_for(caplog):
    for mixed in (False, True):
        if mixed:
            check(info("cpu"), info("NVIDIA L4"), mixed=True)
            assert "devices of several kinds work together: ['NVIDIA L4', 'cpu']" in caplog.text
        else:
            with pytest.raises(ClusterError, match=r"NVIDIA L4, cpu.*plan\.mixed_devices: true"):
                check(info("cpu"), info("NVIDIA L4"))


def test_the_versions_that_decide_are_known_here():
    versions = deciding_versions()
    assert set(versions) >= {"jax", "jaxlib", "evosax", "optax", "the source of es-randomized"}
    assert all(versions.values())


def test_only_workers_are_ended(tmp_path: Path) -> None:
    worker = shutil.copy(shutil.which("sleep"), tmp_path / "ray::Worker")
    with subprocess.Popen([worker, "60"]) as frozen, subprocess.Popen(["sleep", "60"]) as another:
        frozen.send_signal(signal.SIGSTOP)
        for process in (frozen, another):
            end_worker(process.pid)
        assert frozen.wait(10) == -signal.SIGKILL
        assert another.poll() is None
        another.kill()
    end_worker(frozen.pid)  # nobody is there any more


def test_a_worker_without_the_users_module_is_told_from_one_that_fails() -> None:
    with pytest.raises(ConfigError) as caught:
        class_of("task", "own_task_of_mine")
    for lacks in (caught.value, ModuleNotFoundError("No module named 'mine'")):
        assert f"{lacks}): its machine lacks a module of your own" in not_started(lacks)
    assert not_started(MemoryError("too little")) == "a worker could not start: MemoryError: too little"
