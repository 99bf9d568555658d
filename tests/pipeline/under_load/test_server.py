"""What a server is asked beside its load: who refuses, hangs up or tells nothing is told apart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from topfive_pipeline.under_load.server import batch_limits, first_labels, resident_bytes, statuses

METRICS = b'process_resident_memory_bytes 4096.0\ntopfive_model_info{model="m",limit="2"} 1.0\n'
LABELS = b'{"predictions": [{"index": 7}]}'


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.keys.append(self.headers["Authorization"])
        self._answer(200, METRICS)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/hangs-up":
            self.close_connection = True
        else:
            self._answer(200 if self.path == "/right" else 415, LABELS)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def posted(path: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nxx".encode()


def test_statuses_are_those_of_the_answers_and_0_without_one(url: str) -> None:
    head, body = posted("/right")[:-2], b"xx"
    assert statuses(url, [(head, body), posted("/wrong"), posted("/hangs-up")]) == (200, 415, 0)


def test_who_hangs_is_not_asked_again() -> None:
    """Of fifty images each would wait as long as the first."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TimeoutError, match=r"no answer to a request within 0\.05 s"):
            statuses(url, [posted("/right")] * 50, patience=0.05)


def test_a_refusal_has_no_label(url: str) -> None:
    assert first_labels(url, [posted("/right"), posted("/wrong")]) == (7, None)


def test_memory_is_told_to_whoever_has_the_key(url: str) -> None:
    assert resident_bytes(url, api_key="secret") == 4096.0
    assert batch_limits(url, api_key="secret") == "2"
    assert _Server.keys[-2:] == ["Bearer secret"] * 2


def test_a_server_that_accepts_no_connection_is_not_one_that_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        statuses(f"http://127.0.0.1:{port}", [posted("/right")])
    assert batch_limits(f"http://127.0.0.1:{port}") == ""
    with pytest.raises(OSError, match="refused"):
        resident_bytes(f"http://127.0.0.1:{port}")
