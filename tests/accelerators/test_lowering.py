"""Every shipped experiment and every model lowers for CPUs, GPUs and TPUs; with their compilers, one of every task compiles."""

import os
import re
from dataclasses import dataclass, replace

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from es_randomized import driver_of, load
from es_randomized.accelerators.device_type import DEVICE_TYPES, device_type, known
from es_randomized.accelerators.elsewhere import GPU_OPTIONS, NoCompilerError, compiler_for, devices_of
from es_randomized.check import check
from es_randomized.compilation import Compiler, jit_for
from es_randomized.config.kinds import names
from es_randomized.device_memory import memory_bytes
from es_randomized.errors import ConfigError
from tests.test_configs import CONFIGS, FOLDER

PLATFORMS = ["cpu", "cuda", "tpu"]
ONE_A_TASK = ["colouring/one_phase.yaml", "recall/evolution.yaml", "treasure_hunt/three.yaml"]


@dataclass(frozen=True)
class Planned(Compiler):
    """Plans for a TPU without compiling anything."""

    platform = "tpu"

    def compile(self, program, *shapes):
        raise AssertionError("nothing is compiled")

    def memory_bytes(self, program, *shapes):
        return 0

    def free_bytes(self):
        return 2**40


def lowers(config, overrides):
    driver = driver_of(load(FOLDER / config, overrides), compiler=Planned())
    for first in [phase.first for phase in driver.experiment.by_phase] or [0]:
        for program in driver.at(first).programs():
            exported = jax.export.export(jit_for(program.function, "tpu"), platforms=PLATFORMS)(*program.arguments)
            assert set(exported.platforms) == set(PLATFORMS)
            assert exported.in_avals


@pytest.mark.parametrize("config", ONE_A_TASK)
def test_one_experiment_a_task_lowers_for_every_platform(config):
    lowers(config, {"model.blocks": 1} | ({"task.steps": 3} if "hunt" in config else {}))


@pytest.mark.accelerators
@pytest.mark.parametrize("config", CONFIGS)
def test_every_experiment_lowers_for_every_platform(config):
    lowers(config, {})


@pytest.mark.accelerators
@pytest.mark.parametrize(
    "overrides",
    [
        *({"model": {"kind": kind}} for kind in names("model")),
        {"model.attention": "linear"},
        {"model.heads": 2, "model.key": 4},
        {"model.hidden": None},
        {"model.norm": "none"},
        {"model.precision": "bfloat16"},
        {"driver.rank": 1},
        {"driver.noise": "rademacher"},
        {"driver.noise": "table"},
    ],
    ids=lambda overrides: "-".join(map(str, overrides.values())),
)
@pytest.mark.parametrize("config", ONE_A_TASK)
def test_every_model_and_noise_lowers_for_every_platform(config, overrides):
    try:
        lowers(config, overrides)
    except ConfigError as error:
        if not config.startswith("colouring/") or "on a cycle there is none" not in str(error):
            raise
        pytest.skip(str(error))


def installed(make, monkeypatch):
    """What `make` makes of a compiler, where it is installed."""
    for name in ("XLA_FLAGS", "TPU_LIBRARY_PATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    try:
        return make()
    except NoCompilerError as error:
        pytest.skip(str(error))


@pytest.mark.accelerators
@pytest.mark.parametrize(("target", "topology"), [("v6e", "v6e:2x4"), ("h100", "")])
@pytest.mark.parametrize("config", ["recall/evolution.yaml", "treasure_hunt/three.yaml"])
def test_members_shared_by_eight_devices_need_no_exchange(config, target, topology, monkeypatch):
    """One program for eight of them: nothing is sent between them, and each does what one does with an eighth of the members."""
    device = device_type(target)
    devices = installed(lambda: devices_of(replace(device, topology=topology), 8), monkeypatch)
    alone = installed(lambda: compiler_for(device), monkeypatch)
    evolution, whole = (
        driver_of(
            load(FOLDER / config, {"driver.population": 256, "plan.chunk": chunk, "plan.block": 16}), compiler=Planned()
        )
        for chunk in (32, 256)
    )
    mesh = Mesh(np.array(devices), ("members",))
    rows, everywhere = PartitionSpec("members"), PartitionSpec()
    function = evolution.chunk_losses.__wrapped__
    shared = jax.shard_map(
        function, mesh=mesh, in_specs=(everywhere, rows, everywhere), out_specs=rows, check_vma=False
    )

    def there(spec, tree):
        sharding = NamedSharding(mesh, spec)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)

    proposal, numbers, inputs = whole.programs()[0].arguments
    lowered = jax.jit(shared).lower(there(everywhere, proposal), there(rows, numbers), there(everywhere, inputs))
    compiled = lowered.compile(GPU_OPTIONS if device.platform == "gpu" else None)
    assert len(devices) == 8
    assert not re.search(r"all-reduce|all-gather|all-to-all|collective|reduce-scatter", compiled.as_text())
    one = alone.compile(*(evolution.programs()[0].function, *evolution.programs()[0].arguments))
    assert memory_bytes(compiled) == pytest.approx(memory_bytes(one), rel=0.05)


@pytest.mark.accelerators
@pytest.mark.parametrize("target", [name for name, device in DEVICE_TYPES.items() if device.platform == "tpu"])
def test_tpus_are_known_by_the_names_that_their_compiler_gives_them(target, monkeypatch):
    device = device_type(target)
    assert known(installed(lambda: devices_of(device), monkeypatch)[0].device_kind) == device


@pytest.mark.accelerators
@pytest.mark.parametrize("target", ["v6e", "h100"])
@pytest.mark.parametrize("config", [*ONE_A_TASK, "recall/gradient.yaml"])
def test_one_experiment_a_task_compiles_for_accelerators(config, target, monkeypatch):
    """Its largest program has room, and moves at least the weights that it reads."""
    compiler = installed(lambda: compiler_for(device_type(target)), monkeypatch)
    experiment = load(FOLDER / config)
    if experiment.driver.distributed:
        experiment = replace(experiment, plan=replace(experiment.plan, chunk=16, block=8))
    (found,) = check(experiment, compiler)
    assert found.fits
    assert found.programs[0].work.bytes > 4 * driver_of(experiment, compiler=Planned()).parameters
    assert 1 < found.rate(8) <= 8 * found.rate(1) + 1e-6
