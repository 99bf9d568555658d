"""What it means that Triton leaves a call unanswered: pure.

If other calls were answered meanwhile, that batch takes too long. If none was, Triton hangs, whatever it says of
itself; then it is doubted until it has run something.
"""

from __future__ import annotations

import math
import time
from typing import Final

from topfive.ground.errors import BackendFailure, BackendUnreachable, TopfiveError

_RETRY_SECONDS: Final = 1.0


class Silence:
    """Of one model at the Triton at `url`, whose calls may take `seconds`. Times are monotonic."""

    def __init__(self, url: str, *, seconds: float) -> None:
        self.doubted = False
        self._said = f"Triton at {url} has not answered a batch within {seconds:g} s"
        self._answered_at = -math.inf

    def __str__(self) -> str:
        return self._said

    def answered(self) -> None:
        """A call was answered, be it with an error."""
        self._answered_at = time.monotonic()

    def given_up(self, sent: float) -> None:
        """A call that was sent at `sent` was not answered, by its deadline or at all."""
        self.doubted |= self._answered_at <= sent

    def error(self, sent: float) -> TopfiveError:
        """What is to be told of a call that was sent at `sent`, and had its time."""
        return BackendFailure(self._said) if self._answered_at > sent else self.unreachable()

    def unreachable(self) -> BackendUnreachable:
        """What is to be told while it hangs."""
        return BackendUnreachable(f"{self._said}; retry shortly", retry_after_seconds=_RETRY_SECONDS)
