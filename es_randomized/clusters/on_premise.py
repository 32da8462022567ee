"""Machines reached by ssh after `ray down`: nothing of Ray is left on them, and that is looked at on each.

Ray's launcher ends what runs on the head and believes that the workers notice.
"""

import shlex
import subprocess
from pathlib import Path
from typing import Any

from es_randomized.errors import ClusterError

PATIENCE = 120.0  # seconds for all machines together
SETTINGS = ("BatchMode=yes", "ConnectTimeout=10", "StrictHostKeyChecking=accept-new", "LogLevel=ERROR")
OPTIONS = [word for setting in SETTINGS for word in ("-o", setting)]
WORKER_KEY = "~/ray_bootstrap_key.pem"  # where the launcher puts the key for the workers, on the head
# Ends what `ray stop` ends, with what those processes started, and says how many are left. It is bash's input: as an argument
# it would find itself.
SWEEP = r"""
rays() { pgrep -d, -u "$(id -u)" -f '/raylet/raylet |/gcs/gcs_server |/ray/(dashboard|_private|autoscaler)/|^ray::|/ray start '; }
for signal in TERM TERM TERM TERM KILL KILL; do
    pids=$(rays) || break
    kill -$signal $(echo "$pids,$(pgrep -d, -P "$pids")" | tr , ' ') 2> /dev/null
    sleep 1
done
echo "left: $(rays | tr , '\n' | grep -c .)"
"""


def leave_nothing(config: dict[str, Any]) -> None:
    """End all of Ray's processes of the cluster's user on every machine of a launcher's file, and see that they are gone.

    Args:
        config: of provider type local.

    Raises:
        ClusterError: some are left, or a machine cannot be reached.
    """
    provider, auth = config["provider"], config["auth"]
    head = provider.get("external_head_ip") or provider["head_ip"]
    lines = [f"sweep={shlex.quote(SWEEP)}"]
    for worker in provider.get("worker_ips", []):
        way = shlex.join(["ssh", *OPTIONS, f"{auth['ssh_user']}@{worker}"])
        key = f"$(test -r {WORKER_KEY} && echo -i {WORKER_KEY})"
        lines.append(f'echo "{worker} $(echo "$sweep" | {way} {key} bash -s 2>&1 | tail -n 1)" &')
    lines.append(f'echo "{provider["head_ip"]} $(echo "$sweep" | bash -s)"; wait')
    said = _ssh(head, auth, "\n".join(lines))
    bad = [line for line in said.splitlines() if not line.endswith("left: 0")]
    if bad or len(said.splitlines()) < len(lines) - 1:
        what = "; ".join(bad) or f"{head} says nothing"
        raise ClusterError(f"Ray may still run on some machines: {what}; what is left there ends with: ray stop")


def _ssh(host: str, auth: dict[str, Any], script: str) -> str:
    """What a script on the head writes; what ssh says where there is no way to it."""
    options = [*OPTIONS]
    if key := auth.get("ssh_private_key"):
        options += ["-i", str(Path(key).expanduser())]
    if proxy := auth.get("ssh_proxy_command"):
        options += ["-o", f"ProxyCommand={proxy}"]
    command = ["ssh", *options, f"{auth['ssh_user']}@{host}", "bash -s"]
    try:
        result = subprocess.run(command, input=script, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"{host} does not answer"
    return result.stdout if result.returncode != 255 else f"{host} {result.stderr.strip()}"
