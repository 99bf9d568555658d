"""Every open connection of the process, and what its client is waited for: the bookkeeping behind the bounds.

What lives here: who is waited for and since when, who is overdue, and who makes room when there are too many. What
does not: HTTP, sockets, how a connection is closed. Each connection stands in one line at a time; lines are dicts in
the order of arrival, so the one that has been waited for longest is the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, Protocol

from topfive.ground.clock import Clock, TimerHandle
from topfive.machine.turns import Turns

_SWEEP_SECONDS: Final = 1.0
"""How late an overdue client may be found; less where a bound is shorter than that."""
_LAST_SWEEP_SECONDS: Final = 0.25
"""The same while the service stops."""
_FAREWELL_SECONDS: Final = 2.0
"""How long a client that is refused may go on sending: one who is cut off while it sends may never read why."""
_LAST_FAREWELL_SECONDS: Final = 1.0
"""The same while the service stops."""
LAST_SECONDS: Final = 2.0
"""How long, once the service stops, a request may take to be whole, and a client to read on. What is on its way on any
fair link is here by then, and a stop ends well before a container engine's 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The bounds of one process."""

    max_connections: int
    head_seconds: float
    body_seconds: float
    send_seconds: float
    idle_seconds: float


@dataclass(eq=False, slots=True)
class Line:
    """Connections whose clients are waited for in one way, each with the time since when, the longest first."""

    seconds: float
    """How long this may take."""
    reason: str | None = None
    """What closing one of them is counted as; None: it is in order."""
    since: dict[OpenConnection, float] = field(default_factory=dict)


class OpenConnection(Protocol):
    """What the books ask of a connection."""

    line: Line

    def expire(self, line: Line) -> None:
        """The client has been waited for in `line` for too long: close."""

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""


class Connections:
    """Holds the books; `on_closed(reason)` is told whenever a connection is closed against its client's wish.

    A connection enters with `open`, changes its line with `move`, and leaves with `lost`, which must follow an `abort`.
    """

    def __init__(self, limits: ConnectionLimits, *, clock: Clock, on_closed: Callable[[str], None]) -> None:
        self.limits = limits
        self.turns = Turns()
        """For who has more to do than one connection may do at once."""
        self.closing = False
        """Whether each connection is to be closed once it owes no answer; for a service that drains."""
        self.stopping = False
        """Whether those are let go whose requests are not whole."""
        self.fresh = Line(limits.head_seconds, "head_timeout")  # has not sent a byte
        self.idle = Line(limits.idle_seconds)  # between two requests
        self.head = Line(limits.head_seconds, "head_timeout")
        self.body = Line(limits.body_seconds, "body_timeout")
        self.reader = Line(limits.send_seconds, "send_timeout")  # has not taken its answer
        self.farewell = Line(_FAREWELL_SECONDS)  # has been refused, and may read that
        self.answering = Line(math.inf)  # waits for us, not we for it
        self._gone = Line(math.inf)  # aborted, and about to be lost
        self._bounded = (self.fresh, self.idle, self.head, self.body, self.reader, self.farewell)
        self._open = [line.since for line in (*self._bounded, self.answering)]
        self._sweep_seconds = min(_SWEEP_SECONDS, *(line.seconds / 2 for line in self._bounded))
        self._clock = clock
        self.now = clock.now
        self._on_closed = on_closed
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        """How many are open."""
        return sum(map(len, self._open))

    def open(self, connection: OpenConnection) -> None:
        """Take in a new connection.

        Where there are `max_connections`, the client that has kept us waiting longest makes room. If all the others
        wait for us, the new one is closed again.
        """
        is_full = len(self) >= self.limits.max_connections
        victim = self._longest() if is_full else None
        if victim is not None:
            self._abort(victim, "evicted")
        connection.line = self.fresh
        connection.line.since[connection] = self.now()
        if is_full and victim is None:
            self._abort(connection, "refused")

    def move(self, connection: OpenConnection, line: Line) -> None:
        """From now on, `connection` is waited for in `line`."""
        del connection.line.since[connection]
        line.since[connection] = self.now()
        connection.line = line

    def lost(self, connection: OpenConnection) -> None:
        """The connection is no more."""
        del connection.line.since[connection]

    def count(self, reason: str) -> None:
        """Report that a connection is closed for what its client has sent."""
        self._on_closed(reason)

    def start(self) -> None:
        """Begin to close who is overdue."""
        self._timer = self._clock.call_at(self.now() + self._sweep_seconds, self._sweep)

    def hurry(self) -> None:
        """From now on everybody who is waited for has `LAST_SECONDS`, or less where the bound is shorter anyway."""
        if self.stopping:
            return
        self.closing = self.stopping = True
        now = self.now()
        for line in self._bounded:
            line.seconds = min(line.seconds, _LAST_FAREWELL_SECONDS if line is self.farewell else LAST_SECONDS)
            line.reason = None
            line.since.update(dict.fromkeys(line.since, now))
        if self._timer is not None:
            self.stop()
            self._sweep_seconds = min(self._sweep_seconds, _LAST_SWEEP_SECONDS)
            self.start()

    def stop(self) -> None:
        """Let everybody wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self.start()  # first, so that nothing that goes wrong below ends it
        now = self.now()
        for line in self._bounded:
            latest = now - line.seconds
            overdue = [connection for connection, _ in takewhile(_until(latest), line.since.items())]
            for connection in overdue:
                if line.reason is not None:
                    self._on_closed(line.reason)
                self.move(connection, self._gone)
                connection.expire(line)

    def _longest(self) -> OpenConnection | None:
        """Who has kept us waiting longest: among the idle if there are any, then heads, bodies, and readers."""
        for lines in ((self.farewell,), (self.fresh, self.idle), (self.head,), (self.body,), (self.reader,)):
            firsts = [next(iter(line.since.items())) for line in lines if line.since]
            if firsts:
                return min(firsts, key=_since)[0]
        return None

    def _abort(self, connection: OpenConnection, reason: str) -> None:
        self._on_closed(reason)
        self.move(connection, self._gone)
        connection.abort()


def _since(entry: tuple[OpenConnection, float]) -> float:
    return entry[1]


def _until(latest: float) -> Callable[[tuple[OpenConnection, float]], bool]:
    return lambda entry: entry[1] <= latest
