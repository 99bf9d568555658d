"""Requests and bytes in flight never pass their bounds, a refusal changes nothing, and all is given back."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.testkit.fakes import FakeClock
from topfive.ground.errors import QueueFull
from topfive.request.admission import PATIENCE_SECONDS, Admission, Permit

BODY_SECONDS = 60.0


def make(*, max_requests: int = 100, max_bytes: int, clock: FakeClock | None = None) -> Admission:
    now = (clock or FakeClock()).now
    return Admission(max_requests=max_requests, max_bytes=max_bytes, slowest_seconds=BODY_SECONDS, now=now)


class AdmissionMachine(RuleBasedStateMachine):
    """Requests come, are received piece by piece, begin and leave, in any order, against the sums of what is inside."""

    @initialize(max_requests=st.integers(1, 5), max_bytes=st.integers(1, 30))
    def start(self, max_requests: int, max_bytes: int) -> None:
        self.inside: list[Permit] = []
        self.begun: list[Permit] = []
        self.charged = 0
        self.admission = make(max_requests=max_requests, max_bytes=max_bytes)

    @rule(nbytes=st.integers(0, 20))
    def arrive(self, nbytes: int) -> None:
        """By what it announces; nothing is taken yet."""
        admission = self.admission
        if len(self.begun) < admission.max_requests and self.charged + nbytes <= admission.max_bytes:
            self.inside.append(admission.permit(nbytes).__enter__())
        else:
            with pytest.raises(QueueFull, match=r"too many (requests|bytes)"):
                admission.permit(nbytes)

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), nbytes=st.integers(0, 20))
    def receive(self, data: st.DataObject, nbytes: int) -> None:
        permit = data.draw(st.sampled_from(self.inside))
        if self.charged + nbytes <= self.admission.max_bytes:
            permit.charge(nbytes)
            self.charged += nbytes
        else:
            with pytest.raises(QueueFull, match="too many bytes"):
                permit.charge(nbytes)

    @precondition(lambda self: len(self.inside) > len(self.begun))
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        permit = data.draw(st.sampled_from([permit for permit in self.inside if permit not in self.begun]))
        if len(self.begun) < self.admission.max_requests:
            permit.begin()
            self.begun.append(permit)
        else:
            with pytest.raises(QueueFull, match="too many requests"):
                permit.begin()

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), fails=st.booleans())
    def leave(self, data: st.DataObject, fails: bool) -> None:
        permit = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        error = ValueError("the request failed") if fails else None
        self.charged -= permit.nbytes
        self.begun = [other for other in self.begun if other is not permit]
        permit.__exit__(type(error) if error else None, error, None)

    @invariant()
    def within_the_bounds(self) -> None:
        if hasattr(self, "admission"):
            assert (self.admission.requests, self.admission.nbytes) == (len(self.begun), self.charged)
            assert self.admission.requests <= self.admission.max_requests
            assert self.admission.nbytes <= self.admission.max_bytes

    def teardown(self) -> None:
        """At the end everyone leaves, and nothing is left."""
        if hasattr(self, "admission"):
            for permit in self.inside:
                permit.__exit__(None, None, None)
            assert (self.admission.requests, self.admission.nbytes) == (0, 0)


AdmissionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAdmission = AdmissionMachine.TestCase


@pytest.mark.parametrize("fails", [True, False])
def test_what_a_request_holds_is_given_back_however_it_ends(fails: bool) -> None:
    admission = make(max_requests=2, max_bytes=10)
    with suppress(ValueError), admission.permit(4) as first, admission.permit(6) as second:
        assert (admission.requests, admission.nbytes) == (0, 0), "what was announced is not there yet"
        first.charge(4)
        second.charge(6)
        first.begin()
        assert (admission.requests, admission.nbytes) == (1, 10)
        if fails:
            raise ValueError
    assert (admission.requests, admission.nbytes) == (0, 0)


def test_a_refusal_says_which_bound_is_reached() -> None:
    admission = make(max_requests=1, max_bytes=10)
    with admission.permit(9) as permit:
        permit.charge(9)
        with pytest.raises(QueueFull, match="9 of at most 10 are held and this body has 2 more"):
            admission.permit(2)
        permit.begin()
        with pytest.raises(QueueFull, match="1 are in flight"):
            admission.permit(0)


class Bodies:
    """Bodies on their way, with room for so many bytes."""

    def __init__(self, max_bytes: int = 100) -> None:
        self.clock = FakeClock()
        self.admission = make(max_bytes=max_bytes, clock=self.clock)
        self.given_up: list[str] = []

    def expect(self, name: str, nbytes: int) -> Permit:
        """One of which so many bytes have come."""
        permit = self.admission.permit(nbytes)
        permit.expect(lambda: self.given_up.append(name))
        permit.charge(nbytes)
        return permit


def test_a_body_that_stalls_makes_room_for_one_that_comes() -> None:
    """Once it has had its time; by the head there is room then, and it is given up for bytes that are there."""
    bodies = Bodies()
    stalled = bodies.expect("stalled", 90)
    bodies.clock.advance(PATIENCE_SECONDS)
    with pytest.raises(QueueFull, match="90 of at most 100"):
        bodies.admission.permit(20)
    bodies.clock.advance(0.1)
    with bodies.admission.permit(20) as permit, stalled:
        permit.charge(10)
        assert (bodies.given_up, bodies.admission.nbytes) == ([], 100)
        permit.charge(10)
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
    bodies.admission.permit(41).charge(41)
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
            bodies.admission.permit(100)
    assert bodies.given_up == []


def test_a_body_of_which_most_came_at_once_is_not_kept_by_a_trickle() -> None:
    bodies = Bodies(1000)
    trickle = bodies.expect("trickle", 900)
    for _ in range(3):
        bodies.clock.advance(1.0)
        trickle.charge(4)
    bodies.admission.permit(1000).charge(1000)
    assert bodies.given_up == ["trickle"]


def test_what_is_whole_or_over_is_not_given_up() -> None:
    """Nor is the one that asks, nor anybody in vain."""
    bodies = Bodies()
    bodies.expect("whole", 30).is_whole()
    stalled = bodies.expect("stalled", 30)
    with bodies.expect("over", 30):
        pass
    with bodies.admission.permit(0) as known:
        known.charge(30)
    bodies.clock.advance(PATIENCE_SECONDS + 1)
    with pytest.raises(QueueFull, match="60 of at most 100"):
        stalled.charge(71)
    with pytest.raises(QueueFull, match="60 of at most 100"):
        bodies.admission.permit(71)
    assert bodies.given_up == []
    bodies.admission.permit(70).charge(70)
    assert bodies.given_up == ["stalled"]
