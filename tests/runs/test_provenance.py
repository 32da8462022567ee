"""What decides about bits is pinned where it can be, and said where it differs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from es_randomized import RunFolder
from es_randomized.runs.provenance import deciding_versions, differences, provenance
from es_randomized.runs.restore import restore
from tests.tools.tiny import tiny

SETTINGS = {
    "JAX_ENABLE_X64": ("1", "jax_enable_x64"),
    "JAX_THREEFRY_PARTITIONABLE": ("0", "jax_threefry_partitionable"),
    "JAX_DEFAULT_PRNG_IMPL": ("rbg", "jax_default_prng_impl"),
    "JAX_DISABLE_JIT": ("1", "jax_disable_jit"),
    "JAX_DEFAULT_MATMUL_PRECISION": ("bfloat16", "jax_default_matmul_precision"),
}


def test_settings_of_the_environment_that_change_results_are_pinned_and_said() -> None:
    code = "from es_randomized import compilation as c; c.configure(); d = c.deciding_settings()"
    code += "; print(d == c.DECIDING | {'XLA_FLAGS': ''})"
    environment = os.environ | {name: value for name, (value, _) in SETTINGS.items()} | {"XLA_FLAGS": ""}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.stdout == "True\n", result.stderr
    for _, name in SETTINGS.values():
        assert f"{name} is set to" in result.stderr


def test_everything_that_differs_is_named() -> None:
    now = provenance()
    assert differences(now, now) == []
    then = json.loads(json.dumps(now))
    then["packages"] |= {"jaxlib": "0.0.1", "numpy": None}
    then["jax_settings"] |= {"jax_enable_x64": True}
    then["device"] = "TPU v9"
    found = ", ".join(differences(then, now))
    for part in (
        "jaxlib 0.0.1 (now ",
        "numpy none (now ",
        "jax_enable_x64 True (now none)",
        f"TPU v9 (now {now['device']})",
    ):
        assert part in found
    assert "evosax" not in found


def test_a_run_made_with_others_says_so_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny().experiment)
    origin = folder.origin()
    origin["packages"] |= {"jaxlib": "0.0.1", "optax": "0.0.2"}
    folder.provenance_file.write_text(json.dumps(origin))
    restore(folder, tiny())
    (line,) = [record.getMessage() for record in caplog.records if "last bits may differ" in record.getMessage()]
    assert "jaxlib 0.0.1 (now " in line
    assert "optax 0.0.2 (now " in line
    del origin["jax_settings"]  # a run of before
    folder.provenance_file.write_text(json.dumps(origin))
    assert restore(folder, tiny())[0] == 0


def test_workers_must_have_the_same_settings() -> None:
    assert {name for _, name in SETTINGS.values()} < set(deciding_versions())


def test_a_checkpoint_of_another_version_says_so_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from es_randomized.evaluation.of_runs import newest

    shipped = Path(__file__).parents[2] / "checkpoints" / "colouring-gradient-0"
    kept = RunFolder(Path(shutil.copytree(shipped, tmp_path / "kept")))
    origin = kept.origin()
    origin["packages"]["jaxlib"] = "0.0.1"
    kept.provenance_file.write_text(json.dumps(origin))
    newest(kept)
    assert "made with jaxlib 0.0.1 (now" in caplog.text
