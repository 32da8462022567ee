"""What this machine says to itself goes through no proxy: the token would be sent to it in clear."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from es_randomized.clusters.jobs import authenticate, connected


@contextmanager
def server(heard: list[str]) -> Iterator[str]:
    """A job server without jobs, which a proxy resembles; adds the path of every request to `heard`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            answer = (
                []
                if "jobs" in self.path
                else {"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""}
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.mark.parametrize("listed", ["", "intranet.example"])
def test_a_recording_proxy_hears_nothing(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heard_by_proxy: list[str] = []
    heard_by_head: list[str] = []
    for name in ("no_proxy", "NO_PROXY", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, listed if "proxy" in name.lower() else "")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "5ec3e7")
    with server(heard_by_proxy) as proxy, server(heard_by_head) as head:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        authenticate(create=False)
        for address in (head, head.replace("127.0.0.1", "localhost")):
            with connected(address) as jobs:
                assert jobs.all() == []
    assert heard_by_proxy == []
    assert len(heard_by_head) >= 4  # the version and the jobs, at two addresses
    assert os.environ["no_proxy"].startswith(listed)
