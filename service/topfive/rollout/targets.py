"""What a shadow is to the rest of the room: a target that answers copies, in this process or at a URL."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from topfive.ground.types import Timings
from topfive.images.files.limits import Buffer
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
    """What a target needs of so many images of a request to answer them later, and the bytes that this keeps alive."""

    content: Any
    nbytes: int
    images: int


class Target(Protocol):
    """Answers copies. `needs_idle`: it computes on the cores that answer clients, and must wait until they are idle."""

    needs_idle: bool

    @property
    def free(self) -> bool:
        """Whether it takes one more copy now."""

    def loads(self, asked: Asked, result: Classification) -> Sequence[Load]:
        """What it needs of a request that was answered: in one, or image by image; raises `NotAnswered`."""

    def live_seconds(self, timings: Timings) -> float:
        """What the live answer took, measured as `answer` measures."""

    def answer(self, content: Any) -> Coroutine[Any, Any, tuple[Sequence[Labelled], float]]:
        """Take a place, and answer: what each image got, and the seconds that it took; raises `NotAnswered`."""

    async def close(self, *, seconds: float) -> None:
        """Let go of everything, in about so many seconds."""


def nbytes_kept(buffers: Sequence[Buffer | np.ndarray[Any, Any]]) -> int:
    """The bytes that `buffers` keep alive: a view of a part of a body keeps all of it. Each is counted once."""
    return sum({id(whole): memoryview(whole).nbytes for whole in map(_whole, buffers)}.values())


def _whole(buffer: Any) -> Any:
    """The object whose memory `buffer` is a view of."""
    while True:
        inner = buffer.obj if isinstance(buffer, memoryview) else getattr(buffer, "base", None)
        if not isinstance(inner, bytes | bytearray | memoryview | np.ndarray):
            return buffer
        buffer = inner
