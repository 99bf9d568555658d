"""What a shadow is to the rest of the room: a target that answers copies, in this process or at a URL."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from topfive.ground.types import Timings
from topfive.request.classifier import Asked, Classification
from topfive.rollout.comparison import Labelled

COPIED: Final = "x-topfive-copy"
"""A header of what a shadow is sent: it is copied no further, so that services make no circle."""


class NotAnswered(Exception):
    """A copy that the target does not answer. `reason`: one of `observe.trial_metrics.DROPS`; the text: for the log."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Load:
    """What a target needs of a request to answer it later, and the bytes that this holds in memory."""

    content: Any
    nbytes: int


class Target(Protocol):
    """Answers copies. `needs_idle`: it computes on the cores that answer clients, and must wait until they are idle."""

    needs_idle: bool

    @property
    def free(self) -> bool:
        """Whether it takes one more copy now."""

    def load(self, asked: Asked, result: Classification) -> Load:
        """What it needs of a request that was answered; raises `NotAnswered`."""

    def live_seconds(self, timings: Timings) -> float:
        """What the live answer took, measured as `answer` measures."""

    def answer(self, content: Any) -> Coroutine[Any, Any, tuple[Sequence[Labelled], float]]:
        """Take a place, and answer: what each image got, and the seconds that it took; raises `NotAnswered`."""

    async def close(self, *, seconds: float) -> None:
        """Let go of everything, in about so many seconds."""
