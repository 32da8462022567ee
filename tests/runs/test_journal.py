"""The journal keeps whole records, cuts damaged tails and says what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from es_randomized.errors import RunFolderError
from es_randomized.runs.journal import HEADER, Journal, read

LOSSES = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
RECORD = 4 + 3 * 4 + 4


def written(path: Path, count: int = 5) -> Path:
    journal = Journal(path, population=3)
    for generation in range(count):
        journal.append(generation, LOSSES[generation])
    journal.close()
    return path


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    recorded = read(written(tmp_path / "j"))
    np.testing.assert_array_equal(recorded.losses, LOSSES)
    assert recorded.damaged == 0


def test_keeps_infinities_and_nans_bit_for_bit(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf], np.float32)
    journal = Journal(tmp_path / "j", 3)
    journal.append(0, odd)
    journal.close()
    assert read(tmp_path / "j").losses[0].tobytes() == odd.tobytes()


@pytest.mark.parametrize("cut", [1, RECORD - 1, RECORD, RECORD + 7])
def test_a_torn_tail_is_cut_at_the_last_whole_record(cut: int, tmp_path: Path) -> None:
    path = written(tmp_path / "j")
    path.write_bytes(path.read_bytes()[:-cut])
    recorded = read(path)
    kept = 5 - -(-cut // RECORD)
    np.testing.assert_array_equal(recorded.losses, LOSSES[:kept])
    assert recorded.damaged == -cut % RECORD


def test_a_flipped_bit_ends_the_journal_before_it(tmp_path: Path) -> None:
    path = written(tmp_path / "j")
    data = bytearray(path.read_bytes())
    data[HEADER.itemsize + 2 * RECORD + 6] ^= 1
    path.write_bytes(data)
    assert len(read(path).losses) == 2


def test_appending_after_damage_continues_from_the_last_whole_record(tmp_path: Path) -> None:
    path = written(tmp_path / "j")
    path.write_bytes(path.read_bytes()[:-3])
    journal = Journal(path, 3)
    assert journal.generations == 4
    journal.append(4, LOSSES[4])
    journal.close()
    np.testing.assert_array_equal(read(path).losses, LOSSES)


def test_generations_cannot_be_skipped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", 3)
    with pytest.raises(ValueError, match="holds 0 generations, so 2 cannot come next"):
        journal.append(2, LOSSES[2])
    journal.close()


def test_another_population_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "j")
    with pytest.raises(RunFolderError, match="records 3 members per generation, but the experiment has 4"):
        Journal(path, 4)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"something else entirely")
    with pytest.raises(RunFolderError, match="damaged at its very beginning"):
        read(tmp_path / "j")
