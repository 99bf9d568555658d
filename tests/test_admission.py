"""Requests and bytes in flight never pass their bounds, a refusal changes nothing, and all is given back."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.admission import Admission, Permit
from service.errors import QueueFull


class AdmissionMachine(RuleBasedStateMachine):
    """Requests come and go, in any order, with and without errors, against the sizes of those that are in."""

    @initialize(max_requests=st.integers(1, 5), max_bytes=st.integers(1, 30))
    def start(self, max_requests: int, max_bytes: int) -> None:
        self.inside: list[tuple[Permit, int]] = []
        self.admission = Admission(max_requests=max_requests, max_bytes=max_bytes)

    def _in_flight(self) -> tuple[int, int]:
        return len(self.inside), sum(nbytes for _, nbytes in self.inside)

    @rule(nbytes=st.integers(0, 20))
    def arrive(self, nbytes: int) -> None:
        requests, total = self._in_flight()
        fits = requests < self.admission.max_requests and total + nbytes <= self.admission.max_bytes
        if fits:
            self.inside.append((self.admission.acquire(nbytes).__enter__(), nbytes))
        else:
            with pytest.raises(QueueFull, match=r"too many (requests|bytes)"):
                self.admission.acquire(nbytes)

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), fails=st.booleans())
    def leave(self, data: st.DataObject, fails: bool) -> None:
        permit, _ = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        error = ValueError("the request failed") if fails else None
        permit.__exit__(type(error) if error else None, error, None)

    @invariant()
    def within_the_bounds(self) -> None:
        if hasattr(self, "admission"):
            assert (self.admission.requests, self.admission.nbytes) == self._in_flight()
            assert self.admission.requests <= self.admission.max_requests
            assert self.admission.nbytes <= self.admission.max_bytes

    def teardown(self) -> None:
        """At the end everyone leaves, and nothing is left."""
        if hasattr(self, "admission"):
            for permit, _ in self.inside:
                permit.__exit__(None, None, None)
            assert (self.admission.requests, self.admission.nbytes) == (0, 0)


AdmissionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAdmission = AdmissionMachine.TestCase


def test_a_permit_is_given_back_however_the_request_ends() -> None:
    admission = Admission(max_requests=2, max_bytes=10)

    def two_requests(*, fail: bool) -> None:
        with admission.acquire(4), admission.acquire(6):
            assert (admission.requests, admission.nbytes) == (2, 10)
            if fail:
                raise ValueError("as it was")

    two_requests(fail=False)
    with pytest.raises(ValueError, match="as it was"):
        two_requests(fail=True)
    assert (admission.requests, admission.nbytes) == (0, 0)


def test_a_refusal_says_which_bound_is_reached() -> None:
    admission = Admission(max_requests=2, max_bytes=10)
    with admission.acquire(9):
        with pytest.raises(QueueFull, match="9 of at most 10 are in flight and this body has 2"):
            admission.acquire(2)
        with admission.acquire(1), pytest.raises(QueueFull, match="2 are in flight"):
            admission.acquire(0)
