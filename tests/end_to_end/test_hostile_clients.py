"""Slow and hostile clients: each is bounded in time and memory, told what it did, and hurts nobody else.

Each test ends with a good request that is answered as before, and with no permit held (see `unharmed`).
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.testkit.serving_process import RAW, AnswerReader, HeldRequest, ServingProcess, ask, classify_path, serving
from tests.testkit.tiny_models import copy_real_repository

PATH = classify_path(height=1, width=1)
LARGER = classify_path(height=100, width=100)
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"GET /static/swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
MOST = 20
HASTE = ("--head-seconds", "0.6", "--body-seconds", "0.6", "--send-seconds", "0.6", "--keep-alive-seconds", "1")


@pytest.fixture(scope="module")
def hasty_process() -> Iterator[ServingProcess]:
    with serving("--backend", "null", *HASTE) as process:
        yield process


@pytest.fixture(scope="module")
def crowded_process() -> Iterator[ServingProcess]:
    with serving("--backend", "null", "--max-connections", str(MOST)) as process:
        yield process


@contextmanager
def unharmed(process: ServingProcess) -> Iterator[ServingProcess]:
    """Another client is answered as before, whatever the test does, and everything is given back."""
    before = process.classify(b"rgb", height=1, width=1)
    assert before.status == 200
    yield process
    after = process.classify(b"rgb", height=1, width=1)
    assert (after.status, after.json) == (200, before.json)
    process.wait_until(lambda: process.metric("topfive_in_flight") == 0)
    assert "Traceback" not in "".join(process.log)


@pytest.fixture
def impatient(hasty_process: ServingProcess) -> Iterator[ServingProcess]:
    """A service that gives nobody much time."""
    with unharmed(hasty_process) as process:
        yield process


@pytest.fixture
def crowded(crowded_process: ServingProcess) -> Iterator[ServingProcess]:
    """A service of few connections, with as much time for each as by default."""
    with unharmed(crowded_process) as process:
        yield process


def closed(process: ServingProcess, reason: str) -> float:
    """How many connections were closed for `reason`."""
    return process.metric("topfive_connections_closed_total", reason=reason)


class Wire(AnswerReader):
    """A raw connection."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.socket = connection
        self.send = connection.sendall

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        self.socket.close()

    def assert_refused(self, status: int, code: str) -> None:
        """The last answer is this error, says that the connection ends, and it ends."""
        answer = self.next()
        answer.assert_error(status, code)
        assert answer.headers["connection"] == "close"
        assert self.rest() == b""

    def drip(self, data: bytes) -> None:
        """Send byte after byte until an answer comes."""
        for number in range(len(data)):
            self.send(data[number : number + 1])
            if select.select([self.socket], [], [], 0.02)[0]:
                return
        raise AssertionError("all was taken")


def post(length: int, more: str = "", *, path: str = PATH) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {RAW}\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def held(process: ServingProcess) -> HeldRequest:
    return HeldRequest(process, PATH, b"rgb", RAW)


# Slow ones


@pytest.mark.parametrize("start", [b"G", LIVE[:-1], b"\r\n" + LIVE[:20]])
def test_a_head_that_stops_is_answered_408(impatient: ServingProcess, start: bytes) -> None:
    before = closed(impatient, "head_timeout")
    with Wire(impatient.open_socket()) as wire:
        wire.send(start)
        wire.assert_refused(408, "request_timeout")
    assert closed(impatient, "head_timeout") == before + 1


def test_a_head_that_drips_has_no_more_time_than_one_that_stops(impatient: ServingProcess) -> None:
    with Wire(impatient.open_socket()) as wire:
        wire.drip(b"GET / HTTP/1.1\r\nX: " + b"y" * 10_000)
        wire.assert_refused(408, "request_timeout")


def test_the_second_head_of_a_connection_has_the_same_time(impatient: ServingProcess) -> None:
    """Also if it began to come with the first."""
    with Wire(impatient.open_socket()) as wire:
        wire.send(LIVE + LIVE[:10])
        assert wire.next().status == 200
        wire.assert_refused(408, "request_timeout")


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["nothing", "empty lines"])
def test_who_says_nothing_is_closed_without_a_word(impatient: ServingProcess, sent: bytes) -> None:
    before = closed(impatient, "head_timeout")
    with Wire(impatient.open_socket()) as wire:
        wire.send(sent)
        assert wire.rest() == b""
    assert closed(impatient, "head_timeout") == before + 1


def test_a_body_that_stops_is_answered_408(impatient: ServingProcess) -> None:
    before = closed(impatient, "body_timeout")
    request = held(impatient)
    request.send(1)
    with Wire(request.socket) as wire:
        wire.assert_refused(408, "request_timeout")
    assert closed(impatient, "body_timeout") == before + 1


def test_a_body_that_drips_has_no_more_time_than_one_that_stops(impatient: ServingProcess) -> None:
    with Wire(impatient.open_socket()) as wire:
        wire.send(post(3 * 100 * 100, path=LARGER))
        wire.drip(bytes(3 * 100 * 100))
        wire.assert_refused(408, "request_timeout")


def test_a_chunked_body_that_drips_is_answered_408(impatient: ServingProcess) -> None:
    with Wire(impatient.open_socket()) as wire:
        wire.send(post(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        wire.drip(b"1\r\nx\r\n" * 1000)
        wire.assert_refused(408, "request_timeout")


def refused_early(length: int, more: str = "") -> bytes:
    """A head that is refused before its body has come."""
    return post(length, more, path="/v1/classify?bogus=1")


def test_a_body_that_nobody_waits_for_is_discarded_within_its_time(impatient: ServingProcess) -> None:
    before = closed(impatient, "body_timeout")
    with Wire(impatient.open_socket()) as wire:
        wire.send(refused_early(1000))
        wire.next().assert_error(400, "malformed_request")
        assert wire.rest() == b""
    assert closed(impatient, "body_timeout") == before + 1


def test_after_an_early_answer_and_its_body_the_connection_serves_on(crowded: ServingProcess) -> None:
    with Wire(crowded.open_socket()) as wire:
        for _ in range(2):
            wire.send(refused_early(1_000_000))
            wire.next().assert_error(400, "malformed_request")
            wire.send(bytes(1_000_000) + LIVE)
            assert wire.next().status == 200


def test_who_closes_after_an_early_answer_can_still_read_it(crowded: ServingProcess) -> None:
    """It may send its whole body first, as many clients do, without being cut off."""
    with Wire(crowded.open_socket()) as wire:
        body = bytes(20_000_000)
        wire.send(refused_early(len(body), "Connection: close\r\n") + body)
        wire.next().assert_error(400, "malformed_request")
        assert wire.rest() == b""


EARLY = refused_early(3) + b"rgb"


@pytest.mark.parametrize("last", [LIVE, LIVE + b"\r\n\r\n", EARLY], ids=["answered", "and empty lines", "early"])
def test_who_has_its_answer_and_asks_no_more_is_closed_without_a_word(impatient: ServingProcess, last: bytes) -> None:
    """Also if it sends what is no request, or if its answer went out before its body came."""
    with Wire(impatient.open_socket()) as wire:
        wire.send(last)
        assert wire.next().status in (200, 400)
        assert wire.rest() == b""


def test_a_client_that_hangs_up_half_in_the_middle_of_a_body_is_gone(crowded: ServingProcess) -> None:
    """It can send no more, so it gets no answer; `unharmed` sees that its permit is free."""
    request = held(crowded)
    request.send(1)
    with Wire(request.socket) as wire:
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.rest() == b""


def test_a_client_that_does_not_read_its_answers_is_cut_off(impatient: ServingProcess) -> None:
    """However many it has asked for in advance."""
    before = closed(impatient, "send_timeout")
    with Wire(impatient.open_socket()) as wire:
        wire.send(LARGE * 1000)
        impatient.wait_until(lambda: closed(impatient, "send_timeout") == before + 1)
        received = wire.rest()
    assert 0 < received.count(b"HTTP/1.1 200 OK") < 1000


def test_a_client_that_reads_late_but_reads_gets_all(crowded: ServingProcess) -> None:
    """More than the system's buffers hold is waited for as long as something is read."""
    with Wire(crowded.open_socket()) as wire:
        wire.send(LARGE * 10)
        answers = [wire.next().body for _ in range(10)]
    assert len(set(answers)) == 1


# Many


def test_a_flood_of_idle_connections_only_hurts_itself(crowded: ServingProcess) -> None:
    """One more than the most closes the oldest; everybody who comes is served, and who is being served stays."""
    before = closed(crowded, "evicted")
    with ExitStack() as stack:
        working = stack.enter_context(Wire(held(crowded).socket))
        flood = [stack.enter_context(Wire(crowded.open_socket())) for _ in range(3 * MOST)]
        for wire in flood[:MOST]:
            assert wire.rest() == b""
        assert crowded.classify(b"rgb", height=1, width=1).status == 200
        working.send(b"rgb")
        assert working.next().status == 200
        assert crowded.metric("topfive_connections") <= MOST
    assert closed(crowded, "evicted") >= before + 2 * MOST


def test_a_connection_beyond_the_most_is_refused_when_all_are_served(tmp_path: Path) -> None:
    """Those that are being answered are not touched: here they wait for company in a batch."""
    delay = {"max_queue_delay_microseconds: 0": "max_queue_delay_microseconds: 3600000000"}
    repository = copy_real_repository(tmp_path / "models", classify_replacements=delay)
    flags = ("--backend", "null", "--model-repository", str(repository), "--max-connections", "3")
    with serving(*flags) as process, ExitStack() as stack:
        waiting = [held(process) for _ in range(2)]
        for number, request in enumerate(waiting):
            request.send()
            process.wait_until(lambda number=number: process.metric("topfive_queue_items") == number + 1)  # type: ignore[misc]
        waiting.append(held(process))
        waiting[2].send()
        late = stack.enter_context(Wire(process.open_socket())).rest()
        process.signal(signal.SIGTERM)
        assert late == b""
        assert [request.answer().status for request in waiting] == [200] * 3
        assert process.wait() == 0


# Too much


def endless(start: bytes, more: bytes) -> Callable[[Wire], None]:
    """Send on and on until the service has answered."""

    def send(wire: Wire) -> None:
        wire.send(start)
        while not select.select([wire.socket], [], [], 0)[0]:
            wire.send(more)

    return send


def whole(head: bytes) -> Callable[[Wire], None]:
    return lambda wire: wire.send(head)


FILL = 1 << 16


@pytest.mark.parametrize(
    "send",
    [
        endless(b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 100),
        endless(b"GET / HTTP/1.1\r\nX: ", b"y" * 1000),
        endless(b"GET /", b"y" * 1000),
        endless(b"GET / HTTP/1.1\r\n", b"y" * 1000),
        whole(b"GET / HTTP/1.1\r\nX: " + b"y" * FILL + b"\r\n\r\n"),
        whole(b"GET /" + b"y" * FILL + b" HTTP/1.1\r\n\r\n"),
        whole(b"GET / HTTP/1.1\r\n" + b"X:y\r\n" * 257 + b"\r\n"),
        whole(LIVE + b"GET / HTTP/1.1\r\nX: " + b"y" * FILL + b"\r\n\r\n"),
        whole(post(3) + b"rgb" + b"GET / HTTP/1.1\r\nX: " + b"y" * FILL),
    ],
    ids=[
        "endless headers",
        "endless header",
        "endless line",
        "endless name",
        "long header",
        "long line",
        "many headers",
        "second head",
        "second head, after a body",
    ],
)
def test_a_head_that_is_too_large_is_answered_431(
    crowded: ServingProcess, send: Callable[[Wire], None], request: pytest.FixtureRequest
) -> None:
    """After the answers of what came before it."""
    before = closed(crowded, "head_too_large")
    with Wire(crowded.open_socket()) as wire:
        send(wire)
        if "second" in request.node.name:
            assert wire.next().status == 200
        wire.assert_refused(431, "head_too_large")
    assert closed(crowded, "head_too_large") == before + 1


def test_the_largest_head_is_served(crowded: ServingProcess) -> None:
    head = LIVE[:-2] + b"X: " + b"y" * (FILL - len(LIVE) - 5) + b"\r\n\r\n"
    assert len(head) == FILL
    with Wire(crowded.open_socket()) as wire:
        wire.send(head * 2)
        assert [wire.next().status for _ in range(2)] == [200, 200]


def test_many_pipelined_requests_are_answered_in_order(crowded: ServingProcess) -> None:
    """A thousand at once, of which only as many as one reading brings are in memory."""
    bad = post(4).replace(b"height=1", b"height=0") + b"rgba"
    with Wire(crowded.open_socket()) as wire:
        wire.send((post(3) + b"rgb" + bad + LIVE) * 333)
        statuses = [wire.next().status for _ in range(999)]
    assert statuses == [200, 400, 200] * 333


def test_a_chunked_body_of_one_byte_chunks_is_taken(crowded: ServingProcess) -> None:
    """With and without anything that looks like its end in it."""
    for body in (b"x" * 30_000, b"0\r\n\r\n" * 6_000):
        with Wire(crowded.open_socket()) as wire:
            head = post(0, path=LARGER).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
            wire.send(head + chunks + LIVE)
            assert [wire.next().status for _ in range(2)] == [200, 200]


# Draining


def test_while_draining_each_connection_ends_with_its_answer() -> None:
    """So that who keeps connections goes elsewhere before the port closes; what had come before is still answered."""
    with serving("--backend", "null", "--drain-grace-seconds", "3600") as process:
        with process.connect() as kept, Wire(process.open_socket()) as pipelined, Wire(process.open_socket()) as idle:
            assert "connection" not in ask(kept, "GET", "/v2/health/live").headers
            idle.send(LIVE)
            assert idle.next().status == 200
            process.signal(signal.SIGTERM)
            process.wait_for_log("the service is draining")
            assert ask(kept, "GET", "/v2/health/live").headers["connection"] == "close"
            pipelined.send((post(3) + b"rgb") * 3)
            answers = [pipelined.next() for _ in range(3)]
            assert [(answer.status, answer.headers["connection"]) for answer in answers] == [
                (200, None),
                (200, None),
                (200, "close"),
            ]
            assert pipelined.rest() == b""
            process.signal(signal.SIGTERM)
            assert idle.rest() == b""
        assert process.wait() == 0
