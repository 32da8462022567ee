"""The files in cluster/: whole, as the tools they are for want them, and safe as they stand."""

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from es_randomized.clusters.launched import LaunchedTarget, check_schema, refuse_open
from es_randomized.clusters.local_target import LocalTarget
from es_randomized.clusters.targets import target_of
from es_randomized.config.yaml import read_yaml
from es_randomized.errors import ConfigError

FOLDER = Path(__file__).parents[2] / "cluster"
LAUNCHED = ("aws-gpu", "gcp-gpu", "gcp-tpu", "on-premise")
KUBERNETES = ("kuberay-gpu", "kuberay-tpu", "kuberay-tpu-hosts", "kuberay-job-gpu", "kuberay-job-tpu")
HEADED = [*(f"{name}.yaml" for name in ("local", *LAUNCHED, *KUBERNETES, "skypilot")), "slurm.sh"]
MACHINE = re.compile(r"[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi)?")


def tree(name: str) -> Any:
    return read_yaml((FOLDER / f"{name}.yaml").read_text(), name)


def nested(value: Any) -> list[Any]:
    """A tree and everything in it."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(deeper for each in inside for deeper in nested(each))]


@pytest.mark.parametrize("name", HEADED)
def test_every_file_says_how_it_is_used_and_what_it_costs(name: str) -> None:
    header = re.match(r"(#!.*\n)?((?:#.*\n)+)", (FOLDER / name).read_text())
    assert header
    words = re.findall(r"^#   (\w[\w ]*?)  ", header[2], re.MULTILINE)
    assert {"start", "watch", "results", "stop", "cost"} <= set(words)
    assert name.startswith(("slurm", "kuberay-job")) or "submit" in words


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_no_file_holds_a_secret_or_listens_without_a_token(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|-----BEGIN|\b[0-9a-f]{40,}\b", text)
    code = "\n".join(line.partition("#")[0] for line in text.splitlines())
    assert text.count("0.0.0.0") == (1 if path.name.startswith("kuberay-job") else 0)
    if "ray start" in code or "ray symmetric-run" in code:
        assert "RAY_AUTH_MODE=token" in code
        assert "--dashboard-host=127.0.0.1" in code


@pytest.mark.parametrize("name", LAUNCHED)
def test_launcher_files_fit_rays_own_schema(name: str) -> None:
    config = tree(name)
    check_schema(config, Path(name))
    refuse_open(config)
    for wrong in ({"max_wokers": 3}, {"max_workers": "3"}, {"auth": {"ssh_usr": "x"}}):
        with pytest.raises(ConfigError, match=f"{name}: "):
            check_schema({**config, **wrong}, Path(name))


@pytest.mark.parametrize("name", LAUNCHED)
def test_nodes_get_the_token_and_the_lock_that_are_here(name: str) -> None:
    config = tree(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert (FOLDER.parent / config["file_mounts"]["~/requirements.lock"]).is_file()


def test_accelerators_are_what_a_worker_of_theirs_takes() -> None:
    from ray.util import accelerators

    types = {name: tree(name)["available_node_types"] for name in LAUNCHED if name != "on-premise"}
    assert types["gcp-gpu"]["worker"]["resources"]["GPU"] == 1
    assert "MarketType" in types["aws-gpu"]["worker"]["node_config"]["InstanceMarketOptions"]
    piece = types["gcp-tpu"]["slice"]
    kind, chips = accelerators.GOOGLE_TPU_V6E.removeprefix("TPU-").lower(), piece["resources"]["TPU"]
    assert chips in (1, 4, 8)  # that a machine of this kind can have
    assert piece["node_config"]["acceleratorType"] == f"{kind}-{chips}"
    assert f"--devices-per-worker {piece['resources']['TPU']}" in (FOLDER / "gcp-tpu.yaml").read_text()
    # A run takes its kind of accelerator from the machines that are there when it starts.
    assert all(kind["min_workers"] >= 1 for kinds in types.values() for key, kind in kinds.items() if key != "head")


@pytest.mark.parametrize("broken", ["mode", "start", "host", "folder"])
def test_machines_that_anybody_could_use_are_refused(broken: str) -> None:
    config = copy.deepcopy(tree("on-premise"))
    start = config["head_start_ray_commands"]
    if broken == "start":
        del config["head_start_ray_commands"]
    else:
        was, now = {
            "mode": ("RAY_AUTH_MODE=token", ""),
            "host": ("=127.0.0.1", "=0.0.0.0"),
            "folder": ("--temp-dir=$own/ray", ""),
        }[broken]
        start[1] = start[1].replace(was, now)
    with pytest.raises(ConfigError, match=r"head_start_ray_commands: .*(token|missing|dashboard-host|temp-dir)"):
        refuse_open(config)


@pytest.mark.parametrize("name", KUBERNETES)
def test_kubernetes_files_are_what_the_operator_takes(name: str) -> None:
    """A structural check by hand; the operator's own schema is not ours to keep here."""
    manifest = tree(name)
    assert manifest["apiVersion"] == "ray.io/v1"
    job = "job" in name
    assert manifest["kind"] == ("RayJob" if job else "RayCluster")
    spec = manifest["spec"]["rayClusterSpec"] if job else manifest["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["rayVersion"] == re.search(r"^ray(?:\[default\])?==([\d.]+)", LOCK, re.MULTILINE)[1]  # type: ignore[index]
    head, (worker,) = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]
    assert (head["rayStartParams"]["dashboard-host"] == "127.0.0.1") != job
    for group in (head, worker):
        assert group["template"]["metadata"]["labels"] == tree("kuberay-network")["spec"]["podSelector"]["matchLabels"]
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"].startswith("YOUR-")
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        amounts = container["resources"]["limits"]
        assert amounts == container["resources"]["requests"]
        assert all(MACHINE.fullmatch(str(amount)) for amount in amounts.values())
    wanted = {"gpu": ("nvidia.com/gpu", 1), "tpu": ("google.com/tpu", 8), "hosts": ("google.com/tpu", 4)}[
        name.rpartition("-")[2]
    ]
    assert wanted in worker["template"]["spec"]["containers"][0]["resources"]["limits"].items()
    if job:
        assert manifest["spec"]["entrypoint"].startswith(
            "python -m es_randomized train configs/demo.yaml --address auto"
        )


SKYPILOT = os.environ.get("SKYPILOT_PYTHON")
PARSED = """
import json, sys
import sky
task = sky.Task.from_yaml(sys.argv[1])
(machine,) = task.resources
print(json.dumps([task.num_nodes, machine.use_spot, machine.accelerators, task.envs]))
"""


@pytest.mark.skipif(
    not SKYPILOT, reason="set SKYPILOT_PYTHON to the Python of an environment with SkyPilot to check this"
)
def test_skypilots_own_parser_takes_its_file(tmp_path: Path) -> None:
    def parsed(path: Path) -> subprocess.CompletedProcess[str]:
        command = [str(SKYPILOT), "-c", PARSED, str(path)]
        return subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)

    result = parsed(FOLDER / "skypilot.yaml")
    nodes, spot, accelerators, envs = json.loads(result.stdout.splitlines()[-1])
    assert (nodes, spot, accelerators) == (4, True, {"L4": 1})
    assert set(envs) == {"RUN", "TRAIN"}
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((FOLDER / "skypilot.yaml").read_text().replace("use_spot", "use_spott"))
    assert "use_spott" in parsed(wrong).stderr


SHIMS = """
cat > "$1/ray" <<'RAY'
#!/bin/sh
case "$1" in
start) echo "ray $@" >> "$LOG"; exec sleep 30 ;;
health-check) test -s "$LOG" ;; # not before it has started
esac
RAY
cat > "$1/python" <<'PYTHON'
#!/bin/sh
case "$3" in show) test -e "$4" ;; *) echo "$@" >> "$LOG" ;; esac
PYTHON
chmod +x "$1/ray" "$1/python"
"""


@pytest.mark.parametrize("again", [False, True])
def test_skypilots_first_node_trains_or_resumes(again: bool, tmp_path: Path) -> None:
    """Its commands, with programs in place of Ray and Python that write down how they are called."""
    binaries = tmp_path / "venv" / "bin"
    binaries.mkdir(parents=True)
    subprocess.run(["sh", "-c", SHIMS, "sh", str(binaries)], check=True)
    run, log = tmp_path / "run", tmp_path / "log"
    if again:
        run.mkdir()
    commands = tree("skypilot")["run"].replace("/tmp/es_randomized-", f"{tmp_path}/own-")
    node = {"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2"}
    own = {"HOME": str(tmp_path), "RUN": str(run), "TRAIN": "configs/demo.yaml --seed 1", "LOG": str(log)}
    subprocess.run(["bash", "-c", commands], env=os.environ | node | own, check=True, timeout=20, capture_output=True)
    start, command = log.read_text().splitlines()
    assert start.startswith("ray start --head")
    assert command == (
        f"-m es_randomized resume {run} --address 10.0.0.1:6379"
        if again
        else f"-m es_randomized train configs/demo.yaml --seed 1 --run {run} --address 10.0.0.1:6379"
    )


LOCK = (FOLDER.parent / "requirements.lock").read_text()
SCHEMAS = os.environ.get("KUBERAY_SCHEMAS")


@pytest.mark.skipif(
    not SCHEMAS, reason="set KUBERAY_SCHEMAS to a folder with KubeRay's resource definitions to check these"
)
@pytest.mark.parametrize("name", KUBERNETES)
def test_kubernetes_files_fit_the_operators_schema(name: str) -> None:
    import yaml  # in C: these files are long
    from jsonschema import Draft202012Validator

    manifest = tree(name)
    definition = yaml.load((Path(str(SCHEMAS)) / f"{manifest['kind'].lower()}s.yaml").read_text(), yaml.CSafeLoader)
    (version,) = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {}
    assert [problem.message for problem in Draft202012Validator(schema).iter_errors(manifest)] == []
    manifest["spec"]["unkown"] = 1
    assert list(Draft202012Validator(schema).iter_errors(manifest))


def strict(schema: Any) -> Any:
    """A Kubernetes schema that refuses unknown fields, which the server would drop in silence."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if made.pop("x-kubernetes-int-or-string", False):
        made.pop("type", None)
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def test_roles_on_aws_are_narrow() -> None:
    """No action on everything but those that cannot be narrowed, and machines are ended by the cluster's tag only."""
    assert not re.search(
        r"(: |- )[&*]\w", (FOLDER / "aws-iam.yaml").read_text()
    )  # CloudFormation takes no YAML aliases
    resources = tree("aws-iam")["Resources"]
    statements = [
        each
        for part in nested(resources)
        if isinstance(part, dict)
        for each in part.get("Statement", [])
        if "Action" in each
    ]
    assert statements
    for statement in statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if action.endswith(":*") or action == "*"]
        if any("Terminate" in action for action in actions):
            assert "ec2:ResourceTag/ray-cluster-name" in statement["Condition"]["StringEquals"]
        if "iam:PassRole" in actions:
            assert statement["Resource"] != "*"
    profiles = {
        kind["node_config"]["IamInstanceProfile"]["Name"] for kind in tree("aws-gpu")["available_node_types"].values()
    }
    assert profiles == {f"{tree('aws-gpu')['cluster_name']}-{who}" for who in ("head", "worker")}


def test_commands_for_aws_name_the_region_of_the_machines() -> None:
    text = (FOLDER / "aws-gpu.yaml").read_text()
    commands = re.findall(r"aws (?:cloudformation|ec2) .*", text)
    assert len(commands) == 3
    assert all(f"--region {tree('aws-gpu')['provider']['region']} " in command for command in commands)


def test_the_slurm_script_is_a_script_and_says_what_it_needs() -> None:
    script = FOLDER / "slurm.sh"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    result = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=20)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: sbatch cluster/slurm.sh train CONFIG --run RUN")


def test_targets_by_name_path_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    assert isinstance(target_of("local"), LocalTarget)
    assert target_of("cluster/local.yaml").nodes == 3
    launched = target_of("aws-gpu")
    assert isinstance(launched, LaunchedTarget)
    assert launched.nodes == 2
    with target_of("http://127.0.0.1:8265").job_server() as address:
        assert address == "http://127.0.0.1:8265"


def test_a_target_of_ones_own_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_machines.py").write_text(OWN_TARGET)
    (tmp_path / "mine.yaml").write_text("provider: {type: own_machines}\nport: 4711\n")
    with target_of(str(tmp_path / "mine.yaml")).job_server() as address:
        assert address == "http://127.0.0.1:4711"


OWN_TARGET = """
from contextlib import nullcontext

from es_randomized.clusters.target import Target


class OwnMachines(Target):
    @classmethod
    def of(cls, name, path, config):
        target = cls(name)
        target.port = config["port"]
        return target

    def up(self, restart=False): ...

    def down(self): ...

    def job_server(self):
        return nullcontext(f"http://127.0.0.1:{self.port}")
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("locla", r"there is no cluster/locla.yaml; did you mean local\?"),
        ("slurm", "cluster/slurm.sh is not started by this command; its first lines say"),
        ("kuberay-gpu", "cluster/kuberay-gpu.yaml is not started by this command"),
        ("aws-iam", "cluster/aws-iam.yaml is not started by this command"),
    ],
)
def test_what_is_no_target_is_refused_with_what_to_do(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    with pytest.raises(ConfigError, match=message):
        target_of(name)


def test_a_wrong_key_of_a_local_cluster_suggests_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("provider: {type: local-processes}\nnods: 3\n")
    with pytest.raises(ConfigError, match=r"nods: unknown key; did you mean nodes\?"):
        target_of(str(path))


def test_hosts_of_a_slice_are_workers_of_their_own() -> None:
    (group,) = tree("kuberay-tpu-hosts")["spec"]["workerGroupSpecs"]
    pod = group["template"]["spec"]
    rows, columns = map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"))
    chips = pod["containers"][0]["resources"]["limits"]["google.com/tpu"]
    assert rows * columns == chips * group["numOfHosts"]
    wanted = f"--workers {group['numOfHosts']} --devices-per-worker {chips}"
    assert wanted in (FOLDER / "kuberay-tpu-hosts.yaml").read_text()
