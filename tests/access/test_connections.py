"""The books of the open connections: who is overdue is closed, who has waited longest makes room, nobody is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.testkit.fakes import FakeClock
from topfive.access.connections import ConnectionLimits, Connections, Line

LIMITS = ConnectionLimits(max_connections=3, head_seconds=10.0, body_seconds=60.0, send_seconds=20.0, idle_seconds=30.0)


class Client:
    """A connection that keeps what it was told; like a real one it is lost only some time after it was aborted."""

    line: Line

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.expired: Line | None = None
        self.aborted = False
        bench.books.open(self)

    def expire(self, line: Line) -> None:
        self.expired = line

    def abort(self) -> None:
        self.aborted = True

    @property
    def is_closed(self) -> bool:
        return self.aborted or self.expired is not None


class Bench:
    """Books on a standing clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.closed: list[str] = []
        self.books = Connections(LIMITS, clock=self.clock, on_closed=self.closed.append)
        self.books.start()

    def client(self, line: str = "fresh") -> Client:
        made = Client(self)
        if line != "fresh":
            self.books.move(made, getattr(self.books, line))
        return made


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("line", ["fresh", "head", "body", "reader", "idle"])
def test_a_stop_lets_go_who_is_waited_for_two_seconds_after_it(bench: Bench, line: str) -> None:
    """However long they have been waited for before, and those who come to wait after it too; as nobody's fault."""
    early = bench.client(line)
    bench.clock.advance(8.0)
    bench.books.hurry()
    bench.books.hurry()  # which changes nothing
    bench.clock.advance(1.0)
    late = bench.client(line)
    closed = []
    for _ in range(10):
        closed.append((early.is_closed, late.is_closed))
        bench.clock.advance(0.25)
    assert [sum(each) for each in zip(*closed, strict=True)] == [6, 2]
    assert bench.closed == []
    assert bench.books.closing


def test_a_stop_lets_nobody_go_who_waits_for_an_answer(bench: Bench) -> None:
    client = bench.client("answering")
    bench.books.hurry()
    bench.clock.advance(3600.0)
    assert not client.is_closed


@pytest.mark.parametrize(
    ("line", "seconds", "reason"),
    [
        ("fresh", 10.0, ["head_timeout"]),
        ("head", 10.0, ["head_timeout"]),
        ("body", 60.0, ["body_timeout"]),
        ("reader", 20.0, ["send_timeout"]),
        ("idle", 30.0, []),
        ("farewell", 2.0, []),
    ],
)
def test_who_is_waited_for_too_long_is_closed_and_counted(
    bench: Bench, line: str, seconds: float, reason: list[str]
) -> None:
    """Not before the bound, and within a second after it."""
    client = bench.client(line)
    while bench.clock.time < 100.0 + seconds - 1.0:
        bench.clock.advance(0.5)
    assert not client.is_closed
    bench.clock.advance(0.75)
    assert not client.is_closed
    bench.clock.advance(1.25)
    assert client.expired is getattr(bench.books, line)
    assert bench.closed == reason


def test_who_waits_for_us_is_never_overdue(bench: Bench) -> None:
    client = bench.client("answering")
    for _ in range(100):
        bench.clock.advance(1000.0)
    assert not client.is_closed


def test_who_moves_on_starts_anew(bench: Bench) -> None:
    client = bench.client("head")
    bench.clock.advance(9.0)
    bench.books.move(client, bench.books.body)
    bench.clock.advance(59.0)
    assert not client.is_closed
    bench.clock.advance(2.0)
    assert client.expired is bench.books.body


def test_one_more_than_the_most_closes_the_idle_first_then_heads_then_bodies_then_readers(bench: Bench) -> None:
    """However long the others have been waited for; who waits for us is never closed for it."""
    reader, body, head = bench.client("reader"), bench.client("body"), bench.client("head")
    order = []
    for late in ("idle", "answering", "answering", "answering"):
        bench.clock.advance(0.1)
        bench.client(late)
        order.append([client.aborted for client in (reader, body, head)])
    assert order == [[False, False, True], [False, False, True], [False, True, True], [True, True, True]]
    assert bench.closed == ["evicted"] * 4
    assert len(bench.books) == 3


def test_of_the_idle_and_the_fresh_the_one_goes_that_was_waited_for_longest(bench: Bench) -> None:
    clients = []
    for line in ("idle", "fresh", "idle", "fresh", "idle"):
        clients.append(bench.client(line))
        bench.clock.advance(0.1)
    assert [client.aborted for client in clients] == [True, True, False, False, False]


def test_who_has_been_refused_goes_before_all_others(bench: Bench) -> None:
    idle, refused = bench.client("idle"), bench.client("farewell")
    bench.client("head")
    bench.client()
    assert (idle.aborted, refused.aborted) == (False, True)


def test_where_everybody_waits_for_us_the_new_one_is_refused(bench: Bench) -> None:
    """And is no burden: when one has been answered, the next is taken in."""
    working = [bench.client("answering") for _ in range(3)]
    late = bench.client()
    assert late.aborted
    assert bench.closed == ["refused"]
    assert not any(client.aborted for client in working)
    bench.books.lost(late)
    bench.books.move(working[0], bench.books.idle)
    assert not bench.client().aborted
    assert working[0].aborted


def test_a_closing_that_fails_does_not_end_the_sweeps(bench: Bench) -> None:
    class Broken(Client):
        def expire(self, line: Line) -> None:
            raise OSError("the transport is not what it was")

    Broken(bench)
    with pytest.raises(OSError, match="not what it was"):
        bench.clock.advance(11.0)
    client = bench.client()
    bench.clock.advance(11.0)
    assert client.is_closed


def test_after_the_stop_nobody_is_closed_and_no_timer_is_left(bench: Bench) -> None:
    client = bench.client()
    bench.books.stop()
    bench.clock.advance(1000.0)
    assert not client.is_closed
    assert bench.clock.armed == []


LINES = ("idle", "head", "body", "reader", "farewell", "answering")


class Life(RuleBasedStateMachine):
    """Any life of many connections: the books agree with a model that is too slow to serve."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.clients: list[Client] = []
        self.since: dict[Client, float] = {}

    @property
    def open(self) -> list[Client]:
        return [client for client in self.clients if not client.is_closed]

    @initialize()
    def begin(self) -> None:
        self.bench.clock.advance(0.0)

    @rule()
    def connect(self) -> None:
        before = self.open
        books = self.bench.books
        full = len(before) == LIMITS.max_connections
        working = [client for client in before if client.line is books.answering]
        made = self.bench.client()
        self.clients.append(made)
        self.since[made] = self.bench.clock.time
        closed = [client for client in [*before, made] if client.is_closed]
        assert len(closed) == full
        assert made.is_closed == (len(working) == LIMITS.max_connections)
        assert not any(client in closed for client in working)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), line=st.sampled_from(LINES))
    def move(self, data: Any, line: str) -> None:
        client = data.draw(st.sampled_from(self.open))
        self.bench.books.move(client, getattr(self.bench.books, line))
        self.since[client] = self.bench.clock.time

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def lose(self, data: Any) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)
        self.bench.books.lost(client)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        was = {client: client.line for client in self.open}
        self.bench.clock.advance(seconds)
        swept = self.bench.clock.time - 1.0
        for client, line in was.items():
            if client.is_closed:
                assert self.since[client] + line.seconds <= self.bench.clock.time
            else:
                assert self.since[client] + line.seconds > swept - 1.0

    @invariant()
    def agrees(self) -> None:
        assert len(self.bench.books) == len(self.open) <= LIMITS.max_connections
        lines = Counter(id(client.line) for client in self.open)
        for name in ("fresh", *LINES):
            line = getattr(self.bench.books, name)
            assert len(line.since) == lines[id(line)]
            assert list(line.since.values()) == sorted(line.since.values())


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
