"""The closed loop: steady load that is counted once."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
        window_seconds=0.05,
        meters=[lambda: float(next(steps))],
    )
    assert {one.connection for one in load.exchanges} == {0, 1, 2}
    assert all(one.response == Response(200, bodies[one.request][:8]) for one in load.exchanges)
    assert all(one.ended > one.started for one in load.exchanges)
    assert load.cpu_rates[0] > 0
