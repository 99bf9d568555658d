"""The closed loop: steady load that is counted once."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

from topfive_loadgen.closed_loop import Exchange, Load, drive
from topfive_loadgen.http1 import Response


def answer(body: bytes, *, status: int = 200) -> bytes:
    head = f"HTTP/1.1 {status} Reason\r\nserver: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_each_connection_counts_over_its_own_time() -> None:
    """Two answers in one second beside three in two: 2 + 1.5 per second, wherever the window's bounds were."""
    spans = {0: [(0.0, 0.5), (0.5, 1.0)], 1: [(0.2, 1.0), (1.0, 1.5), (1.5, 2.2)]}
    exchanges = [Exchange(line, 0, *span, Response(200, b"")) for line, pair in spans.items() for span in pair]
    assert Load(exchanges, [], 0.0).requests_per_second == pytest.approx(3.5)


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(answer(body[:8]))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_answer_belongs_to_its_request(url: str) -> None:
    """Over several connections, with bodies larger than a socket takes at once, no answer is swapped or lost."""
    bodies = [str(number).rjust(8).encode() + bytes(1_000_000) for number in range(5)]
    requests = [b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body for body in bodies]
    steps = iter(range(0, 100, 7))
    load = drive(
        url,
        requests,
        connections=3,
        warm_seconds=0.0,
        window_seconds=0.5,  # long enough for each connection on a machine that does much else
        meters=[lambda: float(next(steps))],
    )
    assert {one.connection for one in load.exchanges} == {0, 1, 2}
    assert all(one.response == Response(200, bodies[one.request][:8]) for one in load.exchanges)
    assert all(one.ended > one.started for one in load.exchanges)
    assert load.cpu_rates[0] > 0


class _Moody(_Echo):
    """Refuses every third request, hangs up on every third, and answers the others."""

    numbers = count()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        number = next(self.numbers)
        if number % 3 == 2:
            self.close_connection = True
            return
        self.wfile.write(answer(b"ok") if number % 3 else answer(b"full", status=429))


@pytest.fixture
def moody() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Moody) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


REQUESTS = [b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"]


def test_a_load_that_goes_on_counts_refusals_and_hang_ups(moody: str) -> None:
    load = drive(moody, REQUESTS, connections=2, warm_seconds=0.0, window_seconds=0.6, goes_on=True)
    found = {(one.response.status, one.response.body) for one in load.exchanges}
    assert found == {(200, b"ok"), (429, b"full"), (0, b"connection closed before the answer")}


def test_a_load_without_that_ends_at_the_first_hang_up(moody: str) -> None:
    with pytest.raises(ConnectionError, match="ended under load"):
        drive(moody, REQUESTS, connections=1, warm_seconds=0.0, window_seconds=5.0)


def test_a_server_that_is_gone_ends_the_load_at_once() -> None:
    """Where nobody listens any more there is nothing to wait for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        gone = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(ConnectionError, match="Connection refused"):
        drive(gone, REQUESTS, connections=1, warm_seconds=0.0, window_seconds=60.0, goes_on=True)
