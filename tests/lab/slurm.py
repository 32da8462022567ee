"""Slurm on machines of the lab: a controller on the first, a compute node on each other one."""

import re
import secrets
from pathlib import Path

from tests.lab.machines import Lab, wait_until

CONFIG = """
ClusterName=lab
SlurmctldHost={controller}
AuthType=auth/munge
AuthInfo=cred_expire=15
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmUser=slurm
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=20
KillWait=30
NodeName={nodes} Sockets=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=8000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
PREPARE = """
mkdir -p /run/slurmconf /var/spool/slurmctld /var/spool/slurmd
printf %s {key} > /run/munge.key
chown munge:munge /run/munge.key /run/munge; chmod 400 /run/munge.key
chown slurm /var/spool/slurmctld /run/slurm /var/log
cat > /run/slurmconf/slurm.conf <<'END'
{config}
END
echo CgroupPlugin=cgroup/v1 > /run/slurmconf/cgroup.conf
mount --bind /run/slurmconf /etc/slurm
setpriv --reuid munge --regid munge --init-groups munged --force --key-file=/run/munge.key --log-file=/run/munge/munged.log \\
    --seed-file=/run/munge/munged.seed
"""


class Slurm:
    """A Slurm cluster on a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.controller, *self.nodes = lab.names
        self._key = secrets.token_hex(32)
        for name in lab.names:
            self.start(name)
        wait_until(lambda: all(self.state_of_node(node).startswith("IDLE") for node in self.nodes), "idle nodes")

    def start(self, name: str) -> None:
        """Start Slurm on a machine that was switched on."""
        config = CONFIG.format(controller=self.controller, nodes=",".join(self.nodes))
        self.lab.run(name, PREPARE.format(key=self._key, config=config), root=True)
        self.lab.run(name, "slurmctld" if name == self.controller else "slurmd", root=True)

    def submit(self, *arguments: object, options: str = "", folder: str = "es_randomized") -> "BatchJob":
        """sbatch cluster/slurm.sh ARGUMENTS... in the clone."""
        words = " ".join(map(str, arguments))
        said = self.lab.run(self.controller, f"cd {folder}; sbatch {options} cluster/slurm.sh {words}")
        number = re.search(r"Submitted batch job (\d+)", said)
        assert number, said
        return BatchJob(self, int(number[1]), folder)

    def state_of_node(self, node: str) -> str:
        found = re.search(r"State=(\S+)", self.lab.run(self.controller, f"scontrol show node {node}", check=False))
        return found[1] if found else ""


class BatchJob:
    """A job of a Slurm cluster."""

    def __init__(self, slurm: Slurm, number: int, folder: str) -> None:
        self.slurm, self.number, self._folder = slurm, number, folder

    @property
    def _files(self) -> Path:
        return self.slurm.lab.home(self.slurm.controller) / self._folder

    @property
    def output(self) -> str:
        path = self._files / f"slurm-{self.number}.out"
        return path.read_text() if path.exists() else ""

    @property
    def log(self) -> str:
        path = self._files / f"slurm-{self.number}-ray.log"
        return path.read_text() if path.exists() else ""

    def field(self, name: str) -> str:
        """Of `scontrol show job`, such as JobState or ExitCode."""
        shown = self.slurm.lab.run(self.slurm.controller, f"scontrol show job {self.number}", check=False)
        found = re.search(rf"\b{name}=(\S+)", shown)
        return found[1] if found else ""

    def until(self, state: str) -> None:
        """Wait for a state, or say what the job wrote."""
        try:
            wait_until(lambda: self.field("JobState") == state, f"job {self.number} to be {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}\nit is {self.field('JobState')}\n{self.output}\n{self.log}") from None

    def cancel(self) -> None:
        self.slurm.lab.run(self.slurm.controller, f"scancel {self.number}")
