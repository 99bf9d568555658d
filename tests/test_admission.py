"""Requests and bytes in flight never pass their bounds, a refusal changes nothing, and all is given back."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.admission import Admission, Permit
from service.errors import QueueFull


class AdmissionMachine(RuleBasedStateMachine):
    """Requests come, are received piece by piece, begin and leave, in any order, against the sums of what is inside."""

    @initialize(max_requests=st.integers(1, 5), max_bytes=st.integers(1, 30))
    def start(self, max_requests: int, max_bytes: int) -> None:
        self.inside: list[Permit] = []
        self.begun: list[Permit] = []
        self.charged = 0
        self.admission = Admission(max_requests=max_requests, max_bytes=max_bytes)

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
    admission = Admission(max_requests=2, max_bytes=10)
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
    admission = Admission(max_requests=1, max_bytes=10)
    with admission.permit(9) as permit:
        permit.charge(9)
        with pytest.raises(QueueFull, match="9 of at most 10 are held and this body has 2 more"):
            admission.permit(2)
        permit.begin()
        with pytest.raises(QueueFull, match="1 are in flight"):
            admission.permit(0)
