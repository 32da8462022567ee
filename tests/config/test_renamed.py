"""Old YAML is read by today's names, and a line says so."""

import pytest

from es_randomized.config import renamed
from es_randomized.errors import ConfigError


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.setitem(renamed.KEYS, "experiment", {"driver.params.*": "driver.*", "room": "plan.cores"})
    monkeypatch.setitem(renamed.VALUES, "experiment", {"driver.noise": {"signs": "rademacher"}})
    monkeypatch.setitem(renamed.OLD_DEFAULTS, "experiment", {"driver.params": {}, "driver.rank": None})


def test_old_keys_and_words_become_todays_and_a_line_names_both(tables, caplog):
    old = {"driver": {"params": {"lr": 0.1}, "noise": "signs", "rank": None}, "room": 2}
    new = {"driver": {"noise": "rademacher", "lr": 0.1}, "plan": {"cores": 2}}
    assert renamed.with_new_names("experiment", old) == new
    assert old["driver"]["params"] == {"lr": 0.1}
    lines = [record.message.partition(";")[0] for record in caplog.records]
    assert lines == [
        "driver.params.lr is now called driver.lr",
        "room is now called plan.cores",
        "driver.noise: signs is now called driver.noise: rademacher",
    ]
    caplog.clear()
    assert renamed.with_new_names("experiment", new) == new
    assert not caplog.records


def test_a_setting_by_both_names_is_refused(tables):
    with pytest.raises(ConfigError, match=r"room is the old name of plan.cores, and both are given; leave out room"):
        renamed.with_new_names("experiment", {"room": 1, "plan": {"cores": 2}})
