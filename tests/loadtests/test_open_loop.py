"""The open loop of queries: what it sends is judged; it can be repeated aside; and it sees what a closed loop hides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from loadtests import open_loop
from loadtests.null_server import NullServer
from loadtests.open_loop import OpenLoop
from loadtests.open_plan import QueryLoad
from loadtests.queries import Query
from tests.testkit.raw_servers import RawServer, answer
from topfive_loadgen.aside import Aside
from topfive_loadgen.closed_loop import drive as drive_closed
from topfive_loadgen.http1 import render
from topfive_loadgen.open_loop import drive
from topfive_loadgen.schedule import arrivals


class Telling(RawServer):
    """Its answer has the first eight bytes of the body for a label, and so shows whose answer it is."""

    def reply(self, body: bytes) -> bytes:
        return answer(json.dumps({"predictions": [{"label": body[:8].decode()}]}).encode())


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = Telling()
    yield server
    server.close()


def url_of(server: RawServer) -> str:
    return f"http://127.0.0.1:{server.address[1]}"


def query(number: int) -> Query:
    label = str(number).rjust(8)
    return Query(
        mix="random",
        scenario="raw",
        kind="photo",
        path="/v1/classify",
        headers={"Content-Type": "application/octet-stream"},
        body=label.encode() + bytes(100),
        expected=label,
    )


def plan(url: str) -> QueryLoad:
    return QueryLoad(url=url, queries=[query(number) for number in range(4)], rate=400, seconds=0.2, seed=3)


def due(planned: QueryLoad) -> list[float]:
    return [*arrivals(planned.rate, planned.seconds, seed=planned.seed)]


def test_a_wrong_answer_is_an_error_and_every_other_is_right(server: RawServer) -> None:
    planned = plan(url_of(server))
    one, *others = planned.queries
    run = open_loop.run(replace(planned, queries=[replace(one, expected="another"), *others]))
    assert run.latency is not None
    assert run.errors.keys() == {"wrong label"}
    assert run.latency.count + run.errors["wrong label"] == len(due(planned))


def test_a_run_aside_can_be_repeated_at_other_rates_and_ended_early(server: RawServer) -> None:
    """One process, given its queries once; what was sent when it is told to end is answered."""
    planned = plan(url_of(server))
    with OpenLoop(planned) as generator:
        first = generator.run(rate=100.0)
        assert first.latency is not None
        assert first.latency.count == len(due(replace(planned, rate=100.0)))
        server.connected.clear()
        generator.start(seconds=3600.0)
        assert server.connected.wait(30)  # it has begun
        generator.stop()
        second = generator.result()
    assert second.errors == {}
    assert second.seconds < 3600


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"queries": []}, "at least one"),
        ({"queries": [replace(query(1), scenario="grpc")]}, "HTTP only: leave out the queries of grpc"),
        ({"queries": [query(1), replace(query(1), mix="complex")]}, "one mix"),
        ({"url": "127.0.0.1:8000"}, "http://host:port"),
    ],
)
def test_a_plan_that_cannot_be_done_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(plan("http://127.0.0.1:1"), **change)  # type: ignore[arg-type]


def test_a_stall_is_seen_by_the_open_loop_and_hidden_by_the_closed_one() -> None:
    """The same server and the same stalls, at the same time: what makes p99 is where they differ.

    In the closed loop a stall holds up the one request that is under way, one of the many hundreds between two stalls;
    in the open loop all that were due meanwhile. Which those are is told by the server, on the clock of both.
    """
    stall = 0.2
    null = NullServer(stall_seconds=stall, stall_every=1.5)
    planned = QueryLoad(url=null.url, queries=[query(1)], rate=200, seconds=2.0, seed=3)
    with null, Aside() as aside:
        aside.start(drive, plan=planned.sending())
        load = drive_closed(
            null.url, [render("POST", "/v1/classify")], connections=1, warm_seconds=0.0, window_seconds=2.0
        )
        done = aside.result()
    closed = [(one.started, one.ended) for one in load.exchanges]
    opened = [(done.began + one.scheduled, done.began + one.done) for one in done.samples]

    def saw(waits: list[tuple[float, float]]) -> int:
        """How many waited through at least half a stall."""
        return sum(
            any(min(end, last) - max(start, first) >= stall / 2 for first, last in null.stalls) for start, end in waits
        )

    assert null.stalls
    assert 0 < saw(closed) <= len(null.stalls)
    assert saw(closed) < len(closed) / 100
    assert saw(opened) > len(opened) / 100
