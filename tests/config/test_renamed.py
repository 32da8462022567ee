"""Keys of older YAML."""

import pytest

from es_randomized.config.renamed import with_new_names
from es_randomized.errors import ConfigError

NEW_NAMES = {"room": "resources", "together": "trials_per_process"}


def test_old_names_are_read_as_the_new_ones_and_said(caplog):
    old = {"base": "demo.yaml", "room": {"cores": 2}}
    assert with_new_names(old, NEW_NAMES) == {"base": "demo.yaml", "resources": {"cores": 2}}
    assert [record.getMessage() for record in caplog.records] == [
        "room is now called resources; the old name will be refused after this release"
    ]
    assert "room" in old


def test_new_names_are_left_alone(caplog):
    new = {"base": "demo.yaml", "trials_per_process": 3}
    assert with_new_names(new, NEW_NAMES) == new
    assert not caplog.records


def test_a_setting_by_both_names_is_refused():
    with pytest.raises(ConfigError, match="room is the old name of resources, and both are given; leave out room"):
        with_new_names({"room": 1, "resources": 2}, NEW_NAMES)
