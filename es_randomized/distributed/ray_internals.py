"""What we need of Ray and Ray does not promise to keep, in one place. Read in Ray 2.60.

tests/distributed/test_ray_internals.py fails where another version of Ray differs.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

READ_IN = "2.60"

# Without the first, even a local Ray listens on all interfaces. Ray runs workers at niceness 15, where any other program of the
# machine starves them.
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
NICENESS = "RAY_worker_niceness"

AUTOSCALER_V1 = {"RAY_UP_enable_autoscaler_v2": "0"}  # version 2 does not know the provider `local`
HEAD_IS_STARTING = "No available agent"  # in a RuntimeError of the job server; it has no type of its own
# In a RuntimeError or ValueError of the job server and of Ray's client, where a folder is too large to be sent.
TOO_LARGE = ("Maximum request body size", "exceeds the maximum size")
ID_OF_CLUSTER = (
    "/ray.rpc.NodeInfoGcsService/GetClusterId"  # what Ray asks first when it joins one; its message is empty
)
WORKER_PROCESS = "ray::"  # how the name of a process begins that runs an actor


def draining_nodes() -> set[str]:
    """Ids of machines that Ray was told to empty: an autoscaler's scale-down or a spot machine's notice.

    `ray.util.state` does not list them, and needs a dashboard.
    """
    from ray._private.state import state

    return set(state.get_draining_nodes())


def check_launcher_config(config: dict[str, Any]) -> None:
    """Hold the tree of a `ray up` file against Ray's schema; `ray up` itself would only tell after asking for machines.

    Raises:
        jsonschema.ValidationError: a key is unknown or missing, or a value does not fit.
        TypeError, ValueError, RuntimeError: Ray cannot complete it.
    """
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def several_nodes(head: dict[str, Any]) -> "Cluster":
    """A cluster of several nodes on this machine, so far with its head: Ray's own tool for tests.

    `ray start` would do for the nodes, but cannot give each a folder of its own for the code of jobs.
    """
    from ray.cluster_utils import Cluster

    return Cluster(initialize_head=True, head_node_args=head)


def ask_for_id(address: str, patience: float) -> str:
    """Ask a cluster for its id as Ray does, with the token of this process: why it gives none; nothing if it does.

    Args:
        address: host:port.
        patience: seconds.

    Returns:
        "no token" where this process has none to show, "no entry" where it is refused, or else what gRPC says.

    Raises:
        ImportError: Ray is not installed, or without what its dashboard needs.
    """
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray.exceptions import AuthenticationError

    try:
        with init_grpc_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            channel.unary_unary(ID_OF_CLUSTER)(b"", timeout=patience)
    except AuthenticationError:
        return "no token"
    except grpc.RpcError as error:
        refused = error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        return "no entry" if refused else str(error.details())
    return ""


def files_sent(folder: Path, left_out: list[str]) -> list[Path]:
    """The files of a folder that Ray sends with a job: without what `left_out` and .gitignore name."""
    from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

    found: list[Path] = []
    _dir_travel(folder, [_get_excludes(folder, left_out)], found.append, include_gitignore=True)
    return [path for path in found if path.is_file()]
