"""A cluster that cannot be joined is said to be so at once, and whether its address or the token is wrong."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import ray

from es_randomized.distributed import reachable
from es_randomized.distributed.ray_internals import ID_OF_CLUSTER
from es_randomized.distributed.reachable import check_answers, on_loopback_alone
from es_randomized.errors import ClusterError


@contextmanager
def head(refuses: bool) -> Iterator[str]:
    """A server that says what the head of a cluster says to who joins it, with or without the right token."""

    def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
        if refuses:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return b""

    _, service, method = ID_OF_CLUSTER.split("/")
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_the_question_is_one_that_ray_answers() -> None:
    service = Path(ray.__file__).parent / "core" / "generated" / "gcs_service_pb2_grpc.py"
    assert ID_OF_CLUSTER in service.read_text()


@pytest.mark.parametrize(
    ("mode", "message"),
    [("", "asks for a token, and this process shows none"), ("token", "does not accept this process's token")],
)
def test_the_token_is_what_is_wrong(mode: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with head(refuses=False) as address:
        check_answers(address)
    with head(refuses=True) as address, pytest.raises(ClusterError, match=message):
        check_answers(address)


def test_there_is_no_token_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: object, **__: object) -> None:
        raise ray.exceptions.AuthenticationError("Ray couldn't find an authentication token")

    monkeypatch.setattr("ray._private.grpc_utils.init_grpc_channel", without)
    with head(refuses=True) as address, pytest.raises(ClusterError, match="there is none to show to the Ray cluster"):
        check_answers(address)


def test_what_takes_a_connection_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "ANSWERING", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(ClusterError, match="does not answer as a Ray cluster does: Deadline Exceeded; check the"):
            check_answers(address)


@pytest.mark.parametrize(("listening", "expected"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_clusters_on_loopback_alone_are_told(listening: str, expected: bool) -> None:
    with socket.create_server((listening, 0)) as server:
        assert on_loopback_alone(f"127.0.0.1:{server.getsockname()[1]}") == expected
    assert not on_loopback_alone("192.0.2.1:6379")
