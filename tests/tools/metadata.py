"""Metadata servers of clouds, on loopback, that ask for what the clouds' ask for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Metadata(BaseHTTPRequestHandler):
    """Both clouds' servers: pages by path; strangers who do not show the right header are refused."""

    notice = False
    broken = 0
    asked = 0

    def do_PUT(self) -> None:
        assert self.path == "/latest/api/token"
        self.answer(200 if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else 400, "secret")

    def do_GET(self) -> None:
        cls = type(self)
        cls.asked += 1
        if cls.broken:
            cls.broken -= 1
            self.answer(500, "")
        elif self.path == "/latest/meta-data/spot/instance-action":
            if self.headers["X-aws-ec2-metadata-token"] != "secret":
                self.answer(401, "")
            elif cls.notice:
                self.answer(200, json.dumps({"action": "terminate", "time": "2026-11-29T08:22:00Z"}))
            else:
                self.answer(404, "")
        elif self.path.startswith("/computeMetadata/v1/instance/preempted?wait_for_change=true"):
            google = self.headers["Metadata-Flavor"] == "Google"
            self.answer(200 if google else 403, "TRUE\n" if cls.notice else "FALSE\n")
        else:
            self.answer(404, "")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(**state: Any) -> Iterator[tuple[str, type[Metadata]]]:
    handler = type("Handler", (Metadata,), state)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            server.shutdown()
            thread.join()
