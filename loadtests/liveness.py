"""When a server under test counts as lost: dead, hung, restarted or no longer ready. Pure; `watching` asks the server.

A load test must not go on without its server: its errors would look like overload, and a restarted server's figures
like those of one server. An answer of any status shows that the server lives; so a refusal under overload (429, or 503
with a body) is no death.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Literal

from loadtests.results import Gap, Lost

Seen = Literal["answered", "gone", "silent", "not ready"]
"""What came of a question for the health: "gone" is a connection that was refused or broken off."""

EVERY_SECONDS: Final = 0.5
"""The time between two questions."""
ANSWER_SECONDS: Final = 1.5
"""How long one question waits for its answer. With `EVERY_SECONDS` and `TIMES`, all is said within 3 s."""
TIMES: Final = 3
"""How often in a row a server must be gone or not ready: one broken connection may have another cause."""
PATIENCE_SECONDS: Final = 10.0
"""How long a server may answer nothing at all before it counts as hung."""


class ServerLost(Exception):
    """The server under test is lost; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What came of one question (times by `time.monotonic`). `detail`: the error or the answer in words."""

    began: float
    ended: float
    seen: Seen
    detail: str = ""


class Liveness:
    """Follows a server by what is seen of it; `lost` is set once and stays. `zero`: when the run began.

    Two threads tell it what they see, of its health and of its metrics.
    """

    def __init__(self, *, zero: float, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.lost: Lost | None = None
        self.gaps: list[Gap] = []
        self._zero = zero
        self._patience = patience_seconds
        self._row: list[Sighting] = []  # sightings in a row that were no answer
        self._answered = zero  # the last answer of any kind, also to the load
        self._started: float | None = None  # the start of the server's process, by its own clock
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise `ServerLost` if it is lost."""
        if self.lost:
            raise ServerLost(self.lost.reason)

    def answered(self, at: float) -> None:
        """Note an answer to the load: it shows that the server lives, even if its health does not answer."""
        self._answered = max(self._answered, at)

    def see(self, sighting: Sighting) -> str:
        """Note what came of a question; return what is to be said of it at once, "" for nothing."""
        with self._lock:
            return "" if self.lost else self._see(sighting)

    def _see(self, sighting: Sighting) -> str:
        if sighting.seen == "answered":
            return self._recovered(sighting)
        if self._row and self._row[-1].seen != sighting.seen:
            self._close_gap()
        self._row.append(sighting)
        if sighting.seen == "silent":
            return self._silent(sighting)
        if len(self._row) < TIMES:
            return ""
        words = "is gone" if sighting.seen == "gone" else "turned not ready"
        return self._lose(f"the server {words}: {sighting.detail}, {TIMES} times in a row", sighting.ended)

    def started(self, seconds: float | None, *, at: float) -> str:
        """Note when the server says that its process began; another time than before is a restart."""
        with self._lock:
            if seconds is None or self.lost:
                return ""
            before, self._started = self._started, seconds
            if before is None or before == seconds:
                return ""
            return self._lose(
                f"the server was restarted: its process began {seconds - before:.1f} s later than the one before", at
            )

    def gone(self, reason: str, *, at: float) -> str:
        """Note that the server's process has ended."""
        with self._lock:
            return "" if self.lost else self._lose(reason, at)

    def finish(self) -> None:
        """Note the end of the run: an open gap ends with it."""
        with self._lock:
            self._close_gap()

    def _silent(self, sighting: Sighting) -> str:
        since = max(self._row[0].began, self._answered)
        quiet = sighting.ended - since
        if quiet >= self._patience:
            reason = f"the server hangs: it has answered nothing for {quiet:.1f} s (patience: {self._patience:g} s)"
            return self._lose(reason, sighting.ended)
        if len(self._row) > 1:
            return ""
        return (
            f"the server does not answer: nothing from its health for {quiet:.1f} s; "
            f"after {self._patience:g} s without any answer the run ends"
        )

    def _recovered(self, sighting: Sighting) -> str:
        row = self._row
        self._close_gap()
        self.answered(sighting.ended)
        if not row or row[0].seen != "silent":
            return ""
        return f"the server answers again, after {sighting.ended - row[0].began:.1f} s"

    def _close_gap(self) -> None:
        row, self._row = self._row, []
        if row:
            self.gaps.append(
                Gap(of="health", began=row[0].began - self._zero, ended=row[-1].ended - self._zero, count=len(row))
            )

    def _lose(self, reason: str, now: float) -> str:
        at = self._row[0].began if self._row else now
        self._close_gap()
        self.lost = Lost(at=at - self._zero, said=now - self._zero, reason=reason)
        return f"SERVER LOST: {reason}"
