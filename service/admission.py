"""Permits: what a request must hold before a byte of its body is read or any CPU is spent on it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from service.errors import QueueFull


class Admission:
    """Bounds on the requests, and on their body bytes, that the whole process holds at once.

    A body is counted by its declared length (or the limit, where none is declared) from admission to answer, so
    memory is bounded whatever clients do.
    """

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.nbytes = 0

    def acquire(self, nbytes: int) -> Permit:
        """A permit for one request with a body of `nbytes`; raises `QueueFull` if a bound would be passed."""
        if self.requests >= self.max_requests:
            raise QueueFull(f"too many requests: {self.requests} are in flight, the most served at once; retry later")
        if self.nbytes + nbytes > self.max_bytes:
            raise QueueFull(
                f"too many bytes: {self.nbytes} of at most {self.max_bytes} are in flight and this body has {nbytes}; "
                "retry later"
            )
        self.requests += 1
        self.nbytes += nbytes
        return Permit(self, nbytes)

    def release(self, nbytes: int) -> None:
        """Give back what `acquire` counted; called by the permit."""
        self.requests -= 1
        self.nbytes -= nbytes


class Permit:
    """A request's place, given back at the end of the `with` block."""

    __slots__ = ("_admission", "_nbytes")

    def __init__(self, admission: Admission, nbytes: int) -> None:
        self._admission = admission
        self._nbytes = nbytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.release(self._nbytes)
