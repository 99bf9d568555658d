"""A request's way in: one object for all that it holds of the process and of its model, whatever protocol it came by.

What lives here: the order of the refusals, and the one `with` block that gives everything back. What does not: the
bounds (`admission`, `batcher`).
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from topfive.ground.errors import QueueFull
from topfive.models.served import ServedModel
from topfive.request.admission import Admission


class Entry:
    """One request for `model`: made at its head, begun when its body is whole, and over at the end of the `with` block.

    Until then the model's version stays loaded, even if another has taken its place. Making it raises what would be
    raised later anyway: `NotReady`, `TooLarge`, `QueueFull` or `DeadlineExceeded`, for at least `images` images of
    `nbytes` in all, at best of `priority`.
    """

    __slots__ = ("_model", "_permit", "reservation")

    def __init__(
        self,
        admission: Admission,
        model: ServedModel,
        *,
        nbytes: int,
        images: int,
        deadline: float,
        priority: int = 0,
    ) -> None:
        self._model = model
        try:
            model.batcher.check_room(images, deadline=deadline, priority=priority)
            self._permit = admission.permit(nbytes)
        except QueueFull as full:
            raise self._advised(full) from None
        self.reservation = model.batcher.reserve()

    def expect(self, let_go: Callable[[], None]) -> None:
        """The body is waited for; if it stalls while others have no room for theirs, `let_go` is called."""
        self._permit.expect(let_go)

    def is_whole(self) -> None:
        """The body has come."""
        self._permit.is_whole()

    def charge(self, nbytes: int) -> None:
        """Count `nbytes` of body that have come; raises `QueueFull` if memory is spent."""
        try:
            self._permit.charge(nbytes)
        except QueueFull as full:
            raise self._advised(full) from None

    def begin(self, images: int, *, deadline: float, priority: int = 0, is_near: bool = True) -> None:
        """The body is whole and holds `images`: take their places, or raise as the constructor does.

        `is_near`: whether they will be ready for a batch soon.
        """
        try:
            self._permit.begin()
        except QueueFull as full:
            raise self._advised(full) from None
        self.reservation.extend(images, deadline=deadline, priority=priority, is_near=is_near)

    def _advised(self, full: QueueFull) -> QueueFull:
        """`full` with the time after which to try again: when what waits now will have left."""
        if full.retry_after_seconds is None:
            full.retry_after_seconds = self._model.batcher.estimated_wait_seconds()
        return full

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reservation.__exit__(kind, error, trace)
        self._permit.__exit__(kind, error, trace)
