"""cluster/on-premise.yaml on machines behind real ssh: a laptop, a head and a worker, each with a home of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab.machines import OTHER, UID, USER, Lab, wait_until
from tests.lab.probe import opened
from tests.tools.command import generations_in

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

SLOWLY = "--batch.instances 32 --batch.seeds 64 --plan.tile 4 --budget.generations 100000 --no-evaluate"
RUN = "train tiny.yaml --no-evaluate --run"
MACHINES = ("head", "w1")
OWN = f"/tmp/es_randomized-{UID}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(["laptop", *MACHINES], own_homes=True) as lab:
        clone = lab.clone("laptop")
        path = clone / "cluster" / "on-premise.yaml"
        path.write_text(for_the_lab(path.read_text()))
        lab.run("laptop", "mkdir -m 700 .ssh; ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519")
        key = (lab.home("laptop") / ".ssh" / "id_ed25519.pub").read_text()
        for name in MACHINES:
            lab.run(name, f"mkdir -m 700 .ssh; cat > .ssh/authorized_keys <<'END'\n{key}END")
            lab.run(name, f"cp /etc/skel/.bashrc /etc/skel/.profile /home/{USER}")
            lab.run(name, "ssh-keygen -q -t ed25519 -N '' -f /run/sshd/key; /usr/sbin/sshd -h /run/sshd/key", root=True)
        lab.run("laptop", "ssh -o StrictHostKeyChecking=accept-new head true")
        yield lab


def for_the_lab(text: str) -> str:
    """The file with the lab's machines, which have no internet: packages are those that these tests run with."""
    for name, value in {"HEAD": "head", "WORKER-1, YOUR-WORKER-2": "w1", "USER": USER}.items():
        text = text.replace(f"YOUR-{name}", value)
    text, changed = re.subn(
        r"  - curl .*\n  - .*uv venv .*\n  - .*uv pip .*\n", f"  - ln -sfn {sys.prefix} ~/venv\n", text, count=1
    )
    assert changed
    return text


def cluster(lab: Lab, command: str, *, check: bool = True, timeout: float = 240.0) -> str:
    return lab.run(
        "laptop", f"cd es_randomized; .venv/bin/python -m es_randomized cluster {command}", check=check, timeout=timeout
    )


def submit(lab: Lab, arguments: str) -> str:
    found = re.search(r"submitted (\S+)", said := cluster(lab, f"submit on-premise {arguments}"))
    assert found, said
    return found[1]


def status_of(lab: Lab, job: str) -> str:
    found = re.search(rf"{job}  (\w+)", said := cluster(lab, "status on-premise"))
    assert found, said
    return found[1]


def generations(lab: Lab, run: str) -> int:
    return generations_in(lab.home("head") / "runs" / run)


def running(lab: Lab, run: str) -> str:
    """A job that goes on, and has begun."""
    job = submit(lab, f"{RUN} runs/{run} {SLOWLY}")
    wait_until(lambda: generations(lab, run) >= 2, "the first generations")
    return job


def tunnels(lab: Lab) -> list[str]:
    """Of the laptop to the head."""
    return lab.run("laptop", "pgrep -af 'ssh .*head|ray.*dashboard'", check=False).splitlines()


def test_a_job_from_up_to_its_end(lab: Lab) -> None:
    said = cluster(lab, "up on-premise", timeout=600)
    assert "on-premise: 2 nodes, 4 CPU" in said
    job = submit(lab, f"{RUN} runs/end")
    followed = cluster(lab, f"logs on-premise {job} --follow")
    assert followed.endswith("finished after 12 generations")
    assert status_of(lab, job) == "succeeded"


def test_other_users_and_strangers_get_nothing(lab: Lab) -> None:
    for name in MACHINES:
        assert lab.run(name, f"stat -c '%a %U' {OWN}") == f"700 {USER}"
        for attempt in (
            f"ls {OWN}/ray",
            f"touch {OWN}/ray/x",
            f"mv {OWN} {OWN}.away",
            f"cat /home/{USER}/.ray/auth_token",
        ):
            said = lab.run(name, attempt, user=OTHER, check=False)
            assert re.search("Permission denied|not permitted", said), said
        assert opened(lab, "laptop", name) == []


def test_up_again_ends_no_job(lab: Lab) -> None:
    job = running(lab, "stays")
    raylets = {name: lab.run(name, "pgrep -x raylet") for name in MACHINES}
    said = cluster(lab, "up on-premise")
    assert "2 nodes" in said
    assert {name: lab.run(name, "pgrep -x raylet") for name in MACHINES} == raylets
    file = lab.home("laptop") / "es_randomized" / "cluster" / "on-premise.yaml"
    unchanged = file.read_text()
    file.write_text(unchanged + "# another line\n")
    refused = cluster(lab, "up on-premise", check=False)
    assert f"starting it again would end {job}" in refused
    file.write_text(unchanged)
    assert status_of(lab, job) == "running"


def test_a_job_is_stopped_and_resumed(lab: Lab) -> None:
    before = generations(lab, "stays")
    cluster(lab, "stop on-premise")
    job = submit(lab, "resume runs/stays --no-evaluate")
    wait_until(lambda: generations(lab, "stays") > before + 2, "more generations")
    assert status_of(lab, job) == "running"


def test_a_worker_is_cut_off_and_comes_back(lab: Lab) -> None:
    lab.cut("w1")
    try:
        seen = generations(lab, "stays")
        wait_until(lambda: "1 node, 2 CPU" in cluster(lab, "status on-premise").replace(", 1 lost", ""), "the loss")
        wait_until(lambda: generations(lab, "stays") > seen + 3, "generations without it")
    finally:
        lab.plug_in("w1")
    wait_until(lambda: "2 nodes" in cluster(lab, "status on-premise"), "its return")


def test_a_command_that_is_killed_leaves_no_tunnel(lab: Lab) -> None:
    command = lab.command(
        "laptop", "cd es_randomized; exec .venv/bin/python -m es_randomized cluster logs on-premise --follow"
    )
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    ) as follower:
        wait_until(lambda: tunnels(lab), "the tunnel")
        wait_until(lambda: "cluster logs" in lab.run("laptop", "ps -e -o args"), "the command")
        lab.run("laptop", "pkill -KILL -f 'es_randomized cluster logs'", check=False)
        follower.wait(timeout=60)
    wait_until(lambda: not tunnels(lab), "no tunnels", 30)


def test_commands_say_so_where_the_head_is_gone(lab: Lab) -> None:
    lab.cut("head")
    try:
        said = cluster(lab, "status on-premise", check=False, timeout=120)
        assert "error:" in said
        assert "es-randomized cluster up on-premise" in said
        assert "Traceback" not in said
    finally:
        lab.plug_in("head")
    wait_until(lambda: "nodes" in cluster(lab, "status on-premise", check=False), "the head")


def test_down_leaves_nothing_and_up_starts_again(lab: Lab) -> None:
    cluster(lab, "down on-premise")
    for name in MACHINES:
        assert lab.rays(name) == []
    assert generations(lab, "stays") > 2
    assert "on-premise: 2 nodes, 4 CPU" in cluster(lab, "up on-premise", timeout=600)
    cluster(lab, "down on-premise")
    for name in MACHINES:
        assert lab.rays(name) == []
    assert tunnels(lab) == []
