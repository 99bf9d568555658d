"""Judges what an unanswered call to Triton means. Pure.

If other calls were answered meanwhile, only this batch takes too long. If none was, Triton hangs, even if it says that
it is ready; then it is doubted until it has run something.
"""

from __future__ import annotations

import math
import time
from typing import Final

from topfive.ground.errors import BackendFailure, BackendUnreachable, TopfiveError

_RETRY_SECONDS: Final = 1.0


class Silence:
    """The unanswered calls of one model at the Triton at `url`; a call may take `seconds`. Times are monotonic."""

    def __init__(self, url: str, *, seconds: float) -> None:
        self.doubted = False
        self._said = f"Triton at {url} has not answered a batch within {seconds:g} s"
        self._answered_at = -math.inf

    def __str__(self) -> str:
        return self._said

    def answered(self) -> None:
        """A call was answered, perhaps with an error."""
        self._answered_at = time.monotonic()

    def given_up(self, sent: float) -> None:
        """A call that was sent at `sent` was not answered in time."""
        self.doubted |= self._answered_at <= sent

    def error(self, sent: float) -> TopfiveError:
        """The error for a call that was sent at `sent` and ran out of time."""
        return BackendFailure(self._said) if self._answered_at > sent else self.unreachable()

    def unreachable(self) -> BackendUnreachable:
        """The error for all calls while Triton hangs."""
        return BackendUnreachable(f"{self._said}; retry shortly", retry_after_seconds=_RETRY_SECONDS)
