"""cluster/local.yaml on a machine that other people use too."""

import pytest

from tests.lab.machines import OTHER, USER, Lab
from tests.lab.probe import opened

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def test_other_users_of_the_machine_get_nothing() -> None:
    with Lab(["desk"]) as lab:
        lab.clone("desk")
        command = "cd es_randomized; .venv/bin/python -m es_randomized cluster"
        lab.run("desk", f"{command} up local")
        assert lab.run("desk", "stat -c '%a %U' /tmp/esr-*") == f"700 {USER}"
        for attempt in ("ls $(echo /tmp/esr-*)/ray", f"cat /home/{USER}/.ray/auth_token"):
            assert "Permission denied" in lab.run("desk", attempt, user=OTHER, check=False)
        assert opened(lab, "desk", "desk") == []
        lab.run("desk", f"{command} down local")
        assert lab.rays("desk") == []
        assert lab.run("desk", "ls -d /tmp/esr-*", check=False).startswith("ls: cannot access")
