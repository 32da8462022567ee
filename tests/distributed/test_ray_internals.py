"""What the package uses of Ray beyond its promises is still there, in the version that is installed."""

import inspect
from pathlib import Path

import pytest
import ray

from es_randomized.distributed import ray_internals
from es_randomized.distributed.ray_internals import READ_IN


def test_this_is_the_version_it_was_read_in() -> None:
    assert ray.__version__.rpartition(".")[0] == READ_IN, (
        "read distributed/ray_internals.py beside this version of Ray, run `make test-cluster`, then change READ_IN"
    )


def test_nodes_that_are_about_to_go_can_be_asked_for() -> None:
    from ray._private.state import GlobalState

    assert list(inspect.signature(GlobalState.get_draining_nodes).parameters) == ["self"]
    assert "hex ids" in (GlobalState.get_draining_nodes.__doc__ or "")


def test_the_switch_for_loopback_is_rays() -> None:
    from ray._private.ray_constants import ENABLE_RAY_CLUSTERS_ENV_VAR

    assert {ENABLE_RAY_CLUSTERS_ENV_VAR: "0"} == ray_internals.LOOPBACK_ONLY


@pytest.mark.parametrize("name", [ray_internals.NICENESS, *ray_internals.AUTOSCALER_V1])
def test_settings_that_are_no_arguments_are_in_rays_program(name: str) -> None:
    program = Path(ray.__file__).parent / "core" / "src" / "ray" / "raylet" / "raylet"
    assert name.removeprefix("RAY_").removeprefix("UP_").encode() in program.read_bytes()


def test_the_job_server_says_that_a_head_is_still_starting() -> None:
    server = Path(ray.__file__).parent / "dashboard" / "modules" / "job" / "job_head.py"
    assert ray_internals.HEAD_IS_STARTING in server.read_text()


def test_several_nodes_can_be_started_here() -> None:
    from ray.cluster_utils import Cluster

    assert {"initialize_head", "head_node_args"} <= set(inspect.signature(Cluster.__init__).parameters)
    assert {"wait", "node_args"} <= set(inspect.signature(Cluster.add_node).parameters)
    assert "runtime_env_dir_name" in inspect.signature(ray._private.parameter.RayParams.__init__).parameters


def test_a_folder_too_large_is_refused_in_these_words() -> None:
    import aiohttp.web

    refusal = aiohttp.web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)
    client = Path(ray.__file__).parent / "_private" / "runtime_env" / "packaging.py"
    assert ray_internals.TOO_LARGE[0] in str(refusal.text)
    assert ray_internals.TOO_LARGE[1] in client.read_text()
