"""The client of the page on balancing: it tries again what passes, waits as it is told, and stops at its budget."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest

from tests.docs.test_readme import DOCS, blocks

PAGE = DOCS / "balancing.md"


class Refusing(ThreadingHTTPServer):
    """Answers with each of `statuses` in turn, and with the last one for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.statuses = [429]
        self.asked = 0


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Refusing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        statuses = self.server.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "3")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Refusing]:
    running = Refusing()
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What the page's program defines; `waited` is how long it would have slept."""
    (block,) = [one.text for one in blocks(PAGE) if one.language == "python"]
    defined: dict[str, Any] = {"waited": []}
    monkeypatch.setattr("urllib3.util.retry.time.sleep", defined["waited"].append)
    exec(block.partition("\nwith open")[0], defined)
    yield defined
    defined["http"].clear()


def test_what_passes_is_tried_again_after_the_time_that_was_named(server: Refusing, client: Any) -> None:
    server.statuses = [429, 200]
    found = client["classify"](f"http://127.0.0.1:{server.server_address[1]}/", b"12345678")
    assert (found.status, found.data, server.asked) == (200, b"12345678", 2)
    (waited,) = client["waited"]
    assert 3 <= waited <= 4.5


@pytest.mark.parametrize("status", [422, 500, 504])
def test_what_does_not_pass_is_not_tried_again(server: Refusing, client: Any, status: int) -> None:
    server.statuses = [status]
    assert client["classify"](f"http://127.0.0.1:{server.server_address[1]}/", b"1").status == status
    assert server.asked == 1


def test_where_all_is_refused_a_tenth_is_tried_again(server: Refusing, client: Any) -> None:
    """Beside the ten of the beginning; and the client has the refusal itself, not an error of its own."""
    for _ in range(100):
        assert client["classify"](f"http://127.0.0.1:{server.server_address[1]}/", b"1").status == 429
    assert 110 <= server.asked <= 100 + 10 + 100 / 10


def test_the_configuration_is_one_that_grpc_takes() -> None:
    """Nobody listens, which is all that is wrong; of a configuration that it does not take, another code tells."""
    (text,) = [found[1] for found in re.finditer(r"^```json\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)]
    assert json.loads(text)["retryThrottling"] == {"maxTokens": 10, "tokenRatio": 0.1}
    options = [("grpc.service_config", text)]
    with grpc.insecure_channel("127.0.0.1:1", options=options) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # not INVALID_ARGUMENT
