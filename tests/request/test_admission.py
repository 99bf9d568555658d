"""Requests and bytes in flight never pass their bounds, a refusal changes nothing, and all is given back."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.testkit.fakes import FakeClock
from topfive.access.spending import Limits
from topfive.access.tenants import Tenant, Tenants
from topfive.batching.items import QueueLimits
from topfive.batching.queue import BatchingQueue
from topfive.batching.retries import Retries
from topfive.batching.room import Room
from topfive.ground.errors import QueueFull, RateLimited, TooLarge, UndecodableImage
from topfive.request.admission import PATIENCE_SECONDS, Admission, Entry

BODY_SECONDS = 60.0


def make(*, max_requests: int = 100, max_bytes: int, clock: FakeClock | None = None) -> Admission:
    now = (clock or FakeClock()).now
    return Admission(max_requests=max_requests, max_bytes=max_bytes, slowest_seconds=BODY_SECONDS, now=now)


def arrive(admission: Admission, nbytes: int) -> Entry:
    """A request for a model that has room for everybody."""
    queue = BatchingQueue(QueueLimits(max_batch_size=1, max_items=1000, max_bytes=1 << 40))
    return Entry(admission, Room(queue, Retries(), FakeClock()), nbytes=nbytes)


def test_of_what_may_be_in_the_answer_cache_only_bytes_are_judged_before_its_body_is_there() -> None:
    """Places, in flight and in the queue, are judged for what is not in it."""
    admission = make(max_requests=1, max_bytes=10)
    queue = BatchingQueue(QueueLimits(max_batch_size=1, max_items=1, max_bytes=1 << 40))
    room = Room(queue, Retries(), FakeClock())
    with Entry(admission, room, nbytes=4) as first:
        first.charge(4)
        first.begin(1)
        with Entry(admission, room, nbytes=6, images=2, may_hit=True) as second:
            second.charge(6)
            with pytest.raises(QueueFull, match="too many requests"):
                second.begin(1)
        with pytest.raises(QueueFull, match="too many bytes"):
            Entry(admission, room, nbytes=7, may_hit=True)
        with pytest.raises(QueueFull):
            Entry(admission, room, nbytes=6)
    assert (admission.requests, admission.nbytes, room.inside) == (0, 0, 0)


class AdmissionMachine(RuleBasedStateMachine):
    """Requests come, are received piece by piece, begin and leave, in any order, against the sums of what is inside."""

    @initialize(max_requests=st.integers(1, 5), max_bytes=st.integers(1, 30))
    def start(self, max_requests: int, max_bytes: int) -> None:
        self.inside: list[Entry] = []
        self.begun: list[Entry] = []
        self.charged = 0
        self.admission = make(max_requests=max_requests, max_bytes=max_bytes)

    @rule(nbytes=st.integers(0, 20))
    def arrive(self, nbytes: int) -> None:
        """By what it announces; nothing is taken yet."""
        admission = self.admission
        if len(self.begun) < admission.max_requests and self.charged + nbytes <= admission.max_bytes:
            self.inside.append(arrive(admission, nbytes).__enter__())
        else:
            with pytest.raises(QueueFull, match=r"too many (requests|bytes)"):
                arrive(admission, nbytes)

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), nbytes=st.integers(0, 20))
    def receive(self, data: st.DataObject, nbytes: int) -> None:
        entry = data.draw(st.sampled_from(self.inside))
        if self.charged + nbytes <= self.admission.max_bytes:
            entry.charge(nbytes)
            self.charged += nbytes
        else:
            with pytest.raises(QueueFull, match="too many bytes"):
                entry.charge(nbytes)

    @precondition(lambda self: len(self.inside) > len(self.begun))
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from([entry for entry in self.inside if entry not in self.begun]))
        if len(self.begun) < self.admission.max_requests:
            entry.begin(1)
            self.begun.append(entry)
        else:
            with pytest.raises(QueueFull, match="too many requests"):
                entry.begin(1)

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), fails=st.booleans())
    def leave(self, data: st.DataObject, fails: bool) -> None:
        entry = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        error = ValueError("the request failed") if fails else None
        self.charged -= entry.nbytes
        self.begun = [other for other in self.begun if other is not entry]
        entry.__exit__(type(error) if error else None, error, None)

    @invariant()
    def within_the_bounds(self) -> None:
        if hasattr(self, "admission"):
            assert (self.admission.requests, self.admission.nbytes) == (len(self.begun), self.charged)
            assert self.admission.requests <= self.admission.max_requests
            assert self.admission.nbytes <= self.admission.max_bytes

    def teardown(self) -> None:
        """At the end everyone leaves, and nothing is left."""
        if hasattr(self, "admission"):
            for entry in self.inside:
                entry.__exit__(None, None, None)
            assert (self.admission.requests, self.admission.nbytes) == (0, 0)


AdmissionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAdmission = AdmissionMachine.TestCase


@pytest.mark.parametrize("fails", [True, False])
def test_what_a_request_holds_is_given_back_however_it_ends(fails: bool) -> None:
    admission = make(max_requests=2, max_bytes=10)
    with suppress(ValueError), arrive(admission, 4) as first, arrive(admission, 6) as second:
        assert (admission.requests, admission.nbytes) == (0, 0), "what was announced is not there yet"
        first.charge(4)
        second.charge(6)
        first.begin(1)
        assert (admission.requests, admission.nbytes) == (1, 10)
        if fails:
            raise ValueError
    assert (admission.requests, admission.nbytes) == (0, 0)


def test_a_refusal_says_which_bound_is_reached() -> None:
    admission = make(max_requests=1, max_bytes=10)
    with arrive(admission, 9) as entry:
        entry.charge(9)
        with pytest.raises(QueueFull, match="9 of at most 10 are held and this body has 2 more"):
            arrive(admission, 2)
        entry.begin(1)
        with pytest.raises(QueueFull, match="1 are in flight"):
            arrive(admission, 0)


class Bodies:
    """Bodies on their way, with room for so many bytes."""

    def __init__(self, max_bytes: int = 100) -> None:
        self.clock = FakeClock()
        self.admission = make(max_bytes=max_bytes, clock=self.clock)
        self.given_up: list[str] = []

    def expect(self, name: str, nbytes: int) -> Entry:
        """One of which so many bytes have come."""
        entry = arrive(self.admission, nbytes)
        entry.expect(lambda: self.given_up.append(name))
        entry.charge(nbytes)
        return entry


def test_a_body_that_stalls_makes_room_for_one_that_comes() -> None:
    """Once it has had its time; by the head there is room then, and it is given up for bytes that are there."""
    bodies = Bodies()
    stalled = bodies.expect("stalled", 90)
    bodies.clock.advance(PATIENCE_SECONDS)
    with pytest.raises(QueueFull, match="90 of at most 100"):
        arrive(bodies.admission, 20)
    bodies.clock.advance(0.1)
    with arrive(bodies.admission, 20) as entry, stalled:
        entry.charge(10)
        assert (bodies.given_up, bodies.admission.nbytes) == ([], 100)
        entry.charge(10)
        assert (bodies.given_up, bodies.admission.nbytes) == (["stalled"], 20)
    assert bodies.admission.nbytes == 0


def test_of_the_stalled_those_make_room_first_that_keep_most_for_longest_and_no_more_than_must() -> None:
    bodies = Bodies()
    bodies.expect("small", 10)
    bodies.clock.advance(PATIENCE_SECONDS)
    bodies.expect("large", 40)
    bodies.clock.advance(PATIENCE_SECONDS)
    bodies.expect("larger, later", 50)
    bodies.clock.advance(PATIENCE_SECONDS + 1)
    arrive(bodies.admission, 41).charge(41)
    assert bodies.given_up == ["large", "larger, later"]
    assert bodies.admission.nbytes == 10 + 41


def test_a_body_that_comes_evenly_is_not_given_up_however_slow_it_is() -> None:
    """Down to the pace at which it just comes whole in its time; its first bytes, at once, count like all others."""
    bodies = Bodies()
    slow = bodies.expect("slow", 0)
    for _ in range(40):
        bodies.clock.advance(1.0)
        slow.charge(1)
        with pytest.raises(QueueFull):
            arrive(bodies.admission, 100)
    assert bodies.given_up == []


def test_a_body_of_which_most_came_at_once_is_not_kept_by_a_trickle() -> None:
    bodies = Bodies(1000)
    trickle = bodies.expect("trickle", 900)
    for _ in range(3):
        bodies.clock.advance(1.0)
        trickle.charge(4)
    arrive(bodies.admission, 1000).charge(1000)
    assert bodies.given_up == ["trickle"]


def test_what_is_whole_or_over_is_not_given_up() -> None:
    """Nor is the one that asks, nor anybody in vain."""
    bodies = Bodies()
    bodies.expect("whole", 30).is_whole()
    stalled = bodies.expect("stalled", 30)
    with bodies.expect("over", 30):
        pass
    with arrive(bodies.admission, 0) as known:
        known.charge(30)
    bodies.clock.advance(PATIENCE_SECONDS + 1)
    with pytest.raises(QueueFull, match="60 of at most 100"):
        stalled.charge(71)
    with pytest.raises(QueueFull, match="60 of at most 100"):
        arrive(bodies.admission, 71)
    assert bodies.given_up == []
    arrive(bodies.admission, 70).charge(70)
    assert bodies.given_up == ["stalled"]


def tenants(**limits: Limits) -> list[Tenant]:
    return list(Tenants(now=lambda: 100.0, utc=lambda: 1e9).replace(limits).values())


def of(admission: Admission, tenant: Tenant, *, nbytes: int = 0, images: int = 1) -> Entry:
    """A request of `tenant` for a model that has room for a thousand images."""
    queue = BatchingQueue(QueueLimits(max_batch_size=1, max_items=1000, max_bytes=1 << 40))
    return Entry(admission, Room(queue, Retries(), FakeClock()), nbytes=nbytes, images=images, tenant=tenant)


def test_who_floods_leaves_requests_and_bytes_for_others() -> None:
    """And everybody gets all of it again when the flood is over."""
    admission = make(max_requests=10, max_bytes=1000)
    flood, light = tenants(flood=Limits(), light=Limits())
    with ExitStack() as held:
        for _ in range(8):
            entry = held.enter_context(of(admission, flood, nbytes=50))
            entry.charge(50)
            entry.begin(1)
        with pytest.raises(QueueFull, match="8 of at most 10 are in flight, and your key has its share"):
            of(admission, flood)
        with of(admission, light, nbytes=600) as entry:
            entry.charge(600)
            entry.begin(1)
    with ExitStack() as held:
        held.enter_context(of(admission, flood, nbytes=800)).charge(800)
        with pytest.raises(QueueFull, match="800 of at most 1000 are held, and your key has its share"):
            of(admission, flood, nbytes=10)
        of(admission, light, nbytes=100)
    assert (admission.requests_of.total, admission.bytes_of.total) == (0, 0)


def test_a_single_tenant_has_all_of_it() -> None:
    admission = make(max_requests=4, max_bytes=1000)
    (only,) = tenants(only=Limits())
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(of(admission, only)).begin(1)
        with pytest.raises(QueueFull, match="too many requests: 4 are in flight, the most"):
            of(admission, only)


def test_who_may_not_send_is_refused_by_the_head_and_what_is_refused_later_is_given_back() -> None:
    """A fault of the client is not: its images have had their turn."""
    admission = make(max_bytes=1000)
    (feed,) = tenants(feed=Limits(rate=1.0, burst=6, quota=6))
    with pytest.raises(TooLarge):
        of(admission, feed, images=7)
    for error, left in ((QueueFull("full"), 6), (OSError("a defect"), 6), (UndecodableImage("what is this?"), 2)):
        entry = of(admission, feed, images=6).__enter__()
        entry.spend(4)
        with pytest.raises(RateLimited):
            of(admission, feed, images=3)
        entry.__exit__(type(error), error, None)
        of(admission, feed, images=left)
        with pytest.raises((RateLimited, TooLarge)):
            of(admission, feed, images=left + 1)
    with of(admission, feed) as entry:
        entry.spend(2)
    with pytest.raises(RateLimited):
        of(admission, feed)
