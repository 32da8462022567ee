"""The loop over processes of trials, with actors that answer, wait for their place or die, in place of Ray's."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from ray.exceptions import ActorDiedError

from es_randomized.errors import ClusterError
from es_randomized.trials import runner
from es_randomized.trials.attempt import Report
from es_randomized.trials.queue import Queue, Study
from es_randomized.trials.runner import Loop, places, refuse_without_resources
from es_randomized.trials.sweep import Resources
from es_randomized.trials.trial import Trial, TrialsFolder

BASE = Path(__file__).parents[1] / "tiny.yaml"


@dataclass(eq=False)
class Actor:
    """Of one trial."""

    name: str

    def __getattr__(self, method):
        return SimpleNamespace(remote=lambda: Call(self, method))


class Call(NamedTuple):
    actor: Actor
    method: str


class Cluster:
    """Stands in for Ray: one core, which the oldest living actor has.

    Args:
        answers: of every trial, call by call: reports, None at its end, or errors.
    """

    def __init__(self, **answers):
        self.answers, self.living, self.log = answers, [], []

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 1.0}}, {"Alive": False, "Resources": {"CPU": 9.0}}]

    def get_runtime_context(self):
        return SimpleNamespace(gcs_address="here", get_job_id=lambda: "1")

    def remote(self, num_cpus, num_gpus):
        def start(assignments, *_):
            self.living.append(Actor(assignments[0].name))
            return self.living[-1]

        return lambda cls: SimpleNamespace(remote=start)

    def wait(self, calls, timeout):
        return [call for call in calls if call.actor is self.living[0]], []

    def get(self, call):
        self.log.append(f"{call.method} {call.actor.name}")
        answer = self.answers[call.actor.name].pop(0) if call.method == "next" else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor):
        self.log.append(f"kill {actor.name}")
        self.living.remove(actor)


@pytest.fixture
def loop_of(tmp_path, monkeypatch):
    """A loop over trials on such a cluster, with its queue."""

    def make(cluster):
        monkeypatch.setattr(runner, "ray", cluster)
        trials = [Trial(name, BASE, {}, {}, 0) for name in cluster.answers]
        queue = Queue(Study(TrialsFolder(tmp_path), trials, {}, len(trials)))
        return Loop(queue, Resources()), queue

    return make


def test_trials_run_to_their_end_one_for_every_place(loop_of):
    ends = {name: [Report(name, 5), Report(name, 12, 0.5, True), None] for name in ("a", "b", "c")}
    cluster = Cluster(**ends)
    loop, queue = loop_of(cluster)
    loop.step()
    assert [actor.name for actor in cluster.living] == ["a", "b"], "one waits, so that a cluster can grow"
    while loop.step():
        pass
    assert queue.progress.count("finished") == 3
    assert not queue.interrupted
    assert cluster.log == [f"{what} {name}" for name in "abc" for what in ("next", "next", "next", "kill")]


def test_a_lost_process_begins_again_twice(loop_of):
    death = ActorDiedError()
    loop, queue = loop_of(Cluster(a=[Report("a", 5), death, death, Report("a", 12, 0.5, True), None], b=[death] * 3))
    while loop.step():
        pass
    records = queue.progress.records
    assert records["a"].status == "finished"
    assert records["b"].status == "failed"
    assert records["b"].message.startswith("its process was lost 3 times; the last time: ")


def test_when_interrupted_trials_save_and_what_waits_is_not_waited_for(loop_of):
    cluster = Cluster(a=[Report("a", 5), Report("a", 6)], b=[])
    loop, queue = loop_of(cluster)
    loop.step()
    loop.close()
    assert cluster.log == ["next a", "kill b", "next a", "close a", "kill a"]
    assert queue.interrupted
    assert queue.progress.records["a"].generation == 6


def test_without_the_resources_of_one_process_it_says_so():
    machines = [{"CPU": 4.0, "memory": 1e9}, {"CPU": 1.0, "GPU": 1.0}]
    assert places(Resources(), machines) == 5
    assert places(Resources(cores=3), machines) == 1
    assert places(Resources(gpus=0.25), machines) == 1, "it has one core"
    refuse_without_resources(Resources(cores=4), machines)
    with pytest.raises(
        ClusterError, match=r"needs 4 CPU, 0.5 GPU on one machine.*have: 4 CPU, 0 GPU; 1 CPU, 1 GPU; ask"
    ):
        refuse_without_resources(Resources(cores=4, gpus=0.5), machines)
