"""Spot machines: when the cloud says that this one is about to go, Ray is told, and its workers finish what they have.

    python spot_notice.py aws ADDRESS          until Amazon says so, two minutes before
    python spot_notice.py gcp ADDRESS          until Google says so, half a minute before
    python spot_notice.py kubernetes ADDRESS   now, and wait a while: as a preStop hook of a pod

ADDRESS is the head's, host:port; where a machine is several nodes, the id of one follows. AWS_EC2_METADATA_SERVICE_ENDPOINT and
GCE_METADATA_HOST name other metadata servers, as for the clouds' own tools. It runs as a file of its own on machines that have
nothing but Ray.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

AWS, GOOGLE = "http://169.254.169.254", "metadata.google.internal"
EVERY = 5.0  # seconds between questions to Amazon, as it recommends
NOTICE = {"aws": 120, "gcp": 30, "kubernetes": 25}  # seconds from a notice to the end
LEAVING = 20.0  # seconds for workers to finish what they have: a pod's processes end after its hook
TOKEN_SECONDS = "21600"


def aws_says_so(server: str = "") -> bool:
    """Whether Amazon has given notice; a machine without a spot notice has no such page."""
    server = server or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", AWS)
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": TOKEN_SECONDS}
    token = _ask(f"{server}/latest/api/token", lifetime, method="PUT")
    try:
        text = _ask(f"{server}/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token})
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
    return json.loads(text)["action"] in ("terminate", "stop", "hibernate")


def google_says_so(server: str = "") -> bool:
    """Whether Google has given notice; it answers when that changes, or after a minute."""
    server = server or f"http://{os.environ.get('GCE_METADATA_HOST', GOOGLE)}"
    page = "computeMetadata/v1/instance/preempted?wait_for_change=true&timeout_sec=60"
    return _ask(f"{server}/{page}", {"Metadata-Flavor": "Google"}, patience=90.0).strip() == "TRUE"


def wait_for_notice(says_so: Callable[[], bool], pause: float) -> None:
    """Ask until there is one. A server that does not answer is asked again: a watcher must outlive it."""
    while True:
        try:
            if says_so():
                return
        except (OSError, ValueError, KeyError) as error:  # urllib's errors are OSErrors
            print(f"the metadata server: {error}", file=sys.stderr)
        time.sleep(pause)


def drain(address: str, seconds: int, node: str) -> None:
    """Let Ray give a machine nothing more.

    Args:
        seconds: until it is gone.
        node: its id.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", address, "--node-id", node]
    command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "the cloud takes this machine away"]
    subprocess.run([*command, "--deadline-remaining-seconds", str(seconds)], check=True)


def this_node(address: str) -> str:
    """Ray's id of this machine."""
    import ray

    ray.init(address=address, log_to_driver=False)
    node: str = ray.get_runtime_context().get_node_id()
    ray.shutdown()
    return node


def main(cloud: str, address: str, node: str = "") -> None:
    """See above."""
    if cloud == "aws":
        wait_for_notice(aws_says_so, EVERY)
    elif cloud == "gcp":
        wait_for_notice(google_says_so, 1.0)
    elif cloud != "kubernetes":
        sys.exit(f"no notices are known of {cloud!r}; use aws, gcp or kubernetes")
    drain(address, NOTICE[cloud], node or this_node(address))
    if cloud == "kubernetes":
        time.sleep(LEAVING)


def _ask(address: str, headers: Mapping[str, str], method: str = "GET", patience: float = 5.0) -> str:
    request = urllib.request.Request(address, headers=dict(headers), method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this machine's metadata
    with opener.open(request, timeout=patience) as answer:
        text: str = answer.read().decode()
        return text


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(sys.argv[1], os.path.expandvars(sys.argv[2]), *sys.argv[3:])  # a pod's hook has no shell that would
