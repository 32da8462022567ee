"""Spot notices, against metadata servers of our own on loopback that ask for what the clouds' ask for."""

import subprocess
import sys
from typing import Any

import pytest

from es_randomized.clusters import spot_notice
from es_randomized.clusters.spot_notice import aws_says_so, drain, google_says_so, main, wait_for_notice
from tests.tools.metadata import serving

CLOUDS = pytest.mark.parametrize("says_so", [aws_says_so, google_says_so])


@CLOUDS
def test_a_notice_is_seen_when_it_is_given(says_so: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    with serving() as (address, server):
        assert not says_so(address)
        server.notice = True
        assert says_so(address)


@CLOUDS
def test_a_watcher_outlives_a_server_that_fails(says_so: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(notice=True, broken=3) as (address, server):
        wait_for_notice(lambda: bool(says_so(address)), 0.0)
        assert server.broken == 0
    assert capsys.readouterr().err.count("the metadata server: HTTP Error 500") == 3


def test_other_metadata_servers_are_named_as_the_clouds_own_tools_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(notice=True) as (address, _):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        monkeypatch.setenv("GCE_METADATA_HOST", address.removeprefix("http://"))
        assert aws_says_so()
        assert google_says_so()


def test_nothing_happens_before_a_notice() -> None:
    answers = iter([False, False, True])
    wait_for_notice(lambda: next(answers), 0.0)
    assert next(answers, "all were asked for") == "all were asked for"


@pytest.mark.parametrize(("cloud", "seconds"), [("aws", "120"), ("gcp", "30"), ("kubernetes", "25")])
def test_ray_is_told_how_long_the_machine_stays(cloud: str, seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.setattr(spot_notice, "this_node", lambda address: "abc")
    monkeypatch.setattr(spot_notice, "wait_for_notice", lambda says_so, pause: None)
    monkeypatch.setattr(spot_notice, "LEAVING", 0.0)
    main(cloud, "head:6379")
    main(cloud, "head:6379", "another")
    command, other = commands
    assert other[other.index("--node-id") + 1] == "another"
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert command[3] == "drain-node"
    assert (options["--address"], options["--node-id"]) == ("head:6379", "abc")
    assert options["--deadline-remaining-seconds"] == seconds
    assert spot_notice.NOTICE["kubernetes"] > spot_notice.LEAVING


def test_rays_command_takes_what_we_say(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.scripts.scripts import drain_node

    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    drain("head:6379", 30, "abc")
    parsed = drain_node.make_context("drain-node", commands[0][4:]).params
    assert parsed["reason"] == "DRAIN_NODE_REASON_PREEMPTION"
    assert (parsed["deadline_remaining_seconds"], parsed["node_id"]) == (30, "abc")


def test_it_runs_as_a_file_alone_and_refuses_other_clouds() -> None:
    command = [sys.executable, "-I", spot_notice.__file__, "mars", "head:6379"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "no notices are known of 'mars'; use aws, gcp or kubernetes\n"
