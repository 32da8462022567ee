"""Whether a Ray cluster answers at an address, asked before Ray is: it takes minutes to give up, and says so in many lines."""

import os
import socket

from es_randomized.distributed.ray_internals import ask_for_id
from es_randomized.errors import ClusterError

CONNECTING = 5.0  # seconds
ANSWERING = 10.0  # seconds
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANYWHERE = ("192.0.2.1", 9)  # beyond this machine; the block of addresses is for documentation (RFC 5737)
RUNS = "check the address, and that the cluster runs (`ray status`)"
TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's, by default its ~/.ray/auth_token"


def check_answers(address: str) -> None:
    """Raises ClusterError where nobody listens, nobody answers, something answers that is no Ray, or the token is not right."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return  # `auto` and the like, which Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECTING).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ClusterError(f"cannot reach the Ray cluster at {address}: {reason}; {RUNS}") from None
    try:
        answer = ask_for_id(address, ANSWERING)
    except ImportError:
        return  # a Ray that cannot be asked beforehand, or none
    if answer == "no entry":
        shown = os.environ.get("RAY_AUTH_MODE") == "token"
        what = "does not accept this process's token" if shown else "asks for a token, and this process shows none"
        raise ClusterError(f"the Ray cluster at {address} {what}; {TOKEN}")
    if answer == "no token":
        raise ClusterError(
            f"RAY_AUTH_MODE is token, but there is none to show to the Ray cluster at {address}; {TOKEN}"
        )
    if answer:
        raise ClusterError(f"what is at {address} does not answer as a Ray cluster does: {answer}; {RUNS}")


def on_loopback_alone(address: str) -> bool:
    """Whether a cluster of this machine listens on loopback only. Ray would look for it at another address, in vain."""
    host, _, port = address.rpartition(":")
    if host not in LOOPBACK or not port.isdigit():
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
            outward.connect(ANYWHERE)  # sends nothing
            own = outward.getsockname()[0]
        socket.create_connection((own, int(port)), timeout=CONNECTING).close()
    except (OSError, OverflowError):
        return True
    return False
