"""Whatever bit of a kept file is flipped: what is read is the same, or the file is refused."""

import numpy as np
import pyarrow as pa
import pytest

from es_randomized import RunFolder
from es_randomized.errors import RunFolderError
from es_randomized.evaluation.stored import stored
from es_randomized.runs.checked import json_of, parquet_of, read_json, read_parquet
from es_randomized.runs.checkpoint import metrics_of
from es_randomized.runs.table_parts import read_parts
from es_randomized.trials.trial import Record, TrialsFolder, read_record
from tests.tools.made_run import Made

TREE = {"average": {"value": 0.1 + 0.2, "low": None}, "votes": {"3": [1, 2.5]}, "name": "ä [b]"}
TABLE = pa.table(
    {
        "generation": np.arange(20),
        "loss": np.random.default_rng(0).normal(size=20),
        "check": pa.array([None if number % 3 else number / 7 for number in range(20)]),
        "fate": pa.array(["lost", None] * 10),
    }
).replace_schema_metadata({"metric": "p95"})


def flips(content: bytes, count: int) -> list[bytes]:
    """Copies with one flipped bit each, spread over the whole."""
    flipped = []
    for place in np.linspace(0, 8 * len(content) - 1, count).astype(int):
        copy = bytearray(content)
        copy[place // 8] ^= 1 << (place % 8)
        flipped.append(bytes(copy))
    return flipped


def test_json_comes_back_or_is_refused(tmp_path):
    path, refused = tmp_path / "a.json", 0
    content = json_of(TREE)
    path.write_bytes(content)
    assert read_json(path) == TREE
    for flipped in flips(content, 8 * len(content)):  # every one
        path.write_bytes(flipped)
        try:
            # A flip in the name of the checksum leaves a file of before, with one entry more.
            assert {name: value for name, value in read_json(path).items() if name in TREE} == TREE
        except ValueError:
            refused += 1
    assert refused > 5 * len(content)


def test_a_table_comes_back_or_is_refused(tmp_path):
    path, refused = tmp_path / "a.parquet", 0
    content = parquet_of(TABLE)
    path.write_bytes(content)
    assert read_parquet(path).equals(TABLE, check_metadata=True)
    for flipped in flips(content, 1000):
        path.write_bytes(flipped)
        try:
            assert read_parquet(path).equals(TABLE)
        except ValueError:
            refused += 1
    assert refused > 500


def test_files_of_before_are_taken_as_they_are(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}
    pa.parquet.write_table(TABLE, tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet").equals(TABLE)


def damage(path, old, new):
    """Change a file into another that is as well formed."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_damaged_results_are_not_shown(tmp_path):
    made = Made(tmp_path / "a", "cycles")
    value = f'"value": {made.score.single.average.value}'.encode()
    damage(made.run.evaluation_file, value, value[:-1] + b"0")
    with pytest.raises(RunFolderError, match=r"is damaged \(its checksum does not fit\); write it again"):
        stored(made.run)


def test_a_damaged_record_of_a_trial_is_refused(tmp_path):
    folder = TrialsFolder(tmp_path)
    folder.write("a", Record({"driver.std": 0.1}, 0, "finished", 0.25, 12))
    path = tmp_path / "a" / "trial.json"
    assert read_record(path).score == 0.25
    damage(path, b"0.25", b"0.35")
    with pytest.raises(RunFolderError, match=r"its checksum does not fit.*remove the folder"):
        folder.records()


def test_a_damaged_origin_is_no_run_of_before(tmp_path):
    run = RunFolder(tmp_path)
    run.write_origin({"branch": {"generation": 17}})
    damage(run.provenance_file, b"17", b"16")
    with pytest.raises(RunFolderError, match="put it back from a copy, or delete it"):
        run.origin()
    run.provenance_file.unlink()
    assert run.origin() == {}


def test_damaged_parts_of_metrics_are_passed_over(tmp_path, caplog):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(parquet_of(TABLE))
    content = bytearray((tmp_path / "a").read_bytes())
    content[len(content) // 3] ^= 1
    (tmp_path / "a").write_bytes(content)
    assert read_parts([tmp_path / "a", tmp_path / "b"], TABLE.schema).equals(TABLE)
    assert "a is damaged and passed over" in caplog.text


def test_damaged_metrics_of_a_checkpoint_are_refused(tmp_path):
    made = Made(tmp_path / "a", "cycles", evaluated=False)
    (tmp_path / "a" / "metrics.parquet").write_bytes(parquet_of(TABLE)[:-7])
    with pytest.raises(RunFolderError, match=r"metrics.parquet is damaged.*get the checkpoint again"):
        metrics_of(made.run)
