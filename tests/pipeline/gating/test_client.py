"""A contestant is asked as clients ask: one connection, patience with 429, and clear words for what is no answer."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from topfive_pipeline.gating.answers import Answer, Prediction
from topfive_pipeline.gating.client import Client, Unreachable
from topfive_pipeline.gating.contestants import Contestant, Pair

ANSWER = {"model": "m", "version": "1", "predictions": [{"label": "cat", "index": 2, "probability": 0.5}]}


class Scripted(ThreadingHTTPServer):
    """Answers what it is told, one after the other: a busy server cannot be made of a real one at will."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[tuple[int, object, dict[str, str]]] = []
        self.seen: list[tuple[str, str | None]] = []

    @property
    def contestant(self) -> Contestant:
        return Contestant(title="m", url=f"http://127.0.0.1:{self.server_port}", model="m", version=1, api_key="secret")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers["Authorization"]))
        status, document, headers = self.server.script.pop(0)
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = headers.get("X-Close") == "1"

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_the_real_server_answers_a_file_and_refuses_what_is_none(pair: Pair, judged_folder: Path) -> None:
    with Client(pair.live) as client:
        assert client.identity() == ("pets", 1)
        answer = client.classify((judged_folder / "photos" / "0.png").read_bytes())
        assert (answer.status, len(answer.predictions), answer.code) == (200, 3, "")
        assert answer.first is not None
        assert answer.first.label in {"red", "green", "blue"}
        assert client.classify(b"no image at all") == Answer(422, code="undecodable_image")
        assert client.classify(bytes(12), query={"height": 2, "width": 2}).status == 200


def test_busy_is_asked_again_after_the_time_that_is_said(scripted: Scripted) -> None:
    waits: list[float] = []
    busy = (429, {"code": "queue_full"}, {"Retry-After": "2"})
    scripted.script = [busy, (429, {}, {"Retry-After": "900"}), (200, ANSWER, {})]
    with Client(scripted.contestant, sleep=waits.append) as client:
        assert client.classify(b"x") == Answer(200, (Prediction("cat", 2, 0.5),))
    assert waits == [2.0, 5.0]
    assert scripted.seen[0] == ("/v1/classify?model=m&version=1", "Bearer secret")


def test_what_is_said_moves_no_cursor(scripted: Scripted) -> None:
    """Labels and codes of a running service are another's words."""
    evil = {"predictions": [{"label": "\x1b[2Jc\0at", "index": 2, "probability": 0.5}]}
    scripted.script = [(200, evil, {}), (400, {"code": "a\x9bb"}, {})]
    with Client(scripted.contestant) as client:
        assert client.classify(b"x").predictions[0].label == "\ufffd[2Jc\ufffdat"
        assert client.classify(b"x").code == "a\ufffdb"


def test_who_stays_busy_is_left_in_the_end(scripted: Scripted) -> None:
    waits: list[float] = []
    scripted.script = [(429, {"code": "queue_full"}, {"Retry-After": "5"})] * 20
    with Client(scripted.contestant, sleep=waits.append) as client:
        assert client.classify(b"x") == Answer(429, code="queue_full")
    assert sum(waits) == 60


def test_no_other_refusal_is_asked_again(scripted: Scripted) -> None:
    scripted.script = [(503, {"code": "not_ready"}, {"Retry-After": "1"})]
    with Client(scripted.contestant, sleep=lambda _: pytest.fail("it waited")) as client:
        assert client.classify(b"x") == Answer(503, code="not_ready")


def test_a_connection_that_was_closed_between_two_requests_is_made_anew(scripted: Scripted) -> None:
    scripted.script = [(200, ANSWER, {"X-Close": "1"}), (200, ANSWER, {})]
    with Client(scripted.contestant) as client:
        assert client.classify(b"x") == client.classify(b"x")


NO_PROBABILITY = b'{"predictions": [{"label": "cat", "index": 2, "probability": NaN}]}'


@pytest.mark.parametrize("document", [{"predictions": [{"label": "cat"}]}, {}, [], b"<html>", NO_PROBABILITY])
def test_what_does_not_answer_as_topfive_does_is_said(scripted: Scripted, document: object) -> None:
    scripted.script = [(200, document, {}), (200, document, {})]
    with Client(scripted.contestant) as client:
        with pytest.raises(Unreachable, match="does not answer as topfive does"):
            client.classify(b"x")
        with pytest.raises(Unreachable, match="is it the right address"):
            client.identity()


def test_a_server_that_is_gone_is_said() -> None:
    gone = Contestant(title="m", url="http://127.0.0.1:9", model="m")
    with (
        Client(gone) as client,
        pytest.raises(Unreachable, match=r"m does not answer at http://127\.0\.0\.1:9 .* is its server still up"),
    ):
        client.classify(b"x")


def test_a_certificate_that_nobody_knows_is_another_trouble_than_a_server_that_is_gone(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = ssl.SSLCertVerificationError("self-signed certificate")
    monkeypatch.setattr(Client, "_exchange", Mock(side_effect=unknown))
    with (
        Client(scripted.contestant) as client,
        pytest.raises(Unreachable, match=r"self-signed certificate.*; if you trust .* by SSL_CERT_FILE"),
    ):
        client.classify(b"x")
