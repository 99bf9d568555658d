"""The books of all open connections of the process: what each one waits for, since when, and for how long it may.

This module finds connections that are overdue, and picks the one to close when there are too many. It knows nothing of
HTTP or sockets. Each connection stands in one line at a time. A line is a dict in the order of arrival, so its first
connection is the one that has been waited for longest.
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
"""Seconds between two searches for overdue connections; less if a bound is short."""
_LAST_SWEEP_SECONDS: Final = 0.25
"""The same while the service stops."""
_FAREWELL_SECONDS: Final = 2.0
"""How long a refused client may go on sending. A client that is cut off while it sends may never read the refusal."""
_LAST_FAREWELL_SECONDS: Final = 1.0
"""The same while the service stops."""
LAST_SECONDS: Final = 2.0
"""Once the service stops: how long a request may take to arrive completely, and a client to read on. Bytes that are on
their way arrive within this time, and the stop ends well before the 10 s that a container engine allows."""


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
    """Connections that wait for the same thing, each with the time since when; the longest wait comes first."""

    seconds: float
    """How long a connection may stand in this line."""
    reason: str | None = None
    """The reason under which the closing of an overdue connection is counted; None: it is not counted."""
    since: dict[OpenConnection, float] = field(default_factory=dict)


class OpenConnection(Protocol):
    """What a connection must offer to the books."""

    line: Line

    def expire(self, line: Line) -> None:
        """Close: the connection has stood in `line` for too long."""

    def abort(self) -> None:
        """Close at once, even if bytes are still to be sent."""


class Connections:
    """Holds the books; calls `on_closed(reason)` for each connection that the service closes because of a bound.

    A connection enters with `open`, changes its line with `move`, and leaves with `lost`, which must follow an `abort`.
    """

    def __init__(self, limits: ConnectionLimits, *, clock: Clock, on_closed: Callable[[str], None]) -> None:
        self.limits = limits
        self.turns = Turns()
        """For connections that have more to do than one connection may do in one turn of the event loop."""
        self.closing = False
        """Whether each connection closes once it owes no answer: the service drains."""
        self.stopping = False
        """Whether connections with incomplete requests are closed soon: the service stops."""
        self.fresh = Line(limits.head_seconds, "head_timeout")  # no byte received yet
        self.idle = Line(limits.idle_seconds)  # between two requests
        self.head = Line(limits.head_seconds, "head_timeout")
        self.body = Line(limits.body_seconds, "body_timeout")
        self.reader = Line(limits.send_seconds, "send_timeout")  # the client has not read its answer
        self.farewell = Line(_FAREWELL_SECONDS)  # refused; the client gets time to read the refusal
        self.answering = Line(math.inf)  # the client waits for the service
        self._gone = Line(math.inf)  # aborted, and about to be lost
        self._bounded = (self.fresh, self.idle, self.head, self.body, self.reader, self.farewell)
        self._open = [line.since for line in (*self._bounded, self.answering)]
        self._sweep_seconds = min(_SWEEP_SECONDS, *(line.seconds / 2 for line in self._bounded))
        self._clock = clock
        self.now = clock.now
        self._on_closed = on_closed
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        """The number of open connections."""
        return sum(map(len, self._open))

    def open(self, connection: OpenConnection) -> None:
        """Register a new connection.

        If there are `max_connections` already, the connection that has kept the service waiting longest is closed. If
        all of them wait for an answer, the new one is closed instead.
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
        """Put `connection` into `line`; its time there starts now."""
        del connection.line.since[connection]
        line.since[connection] = self.now()
        connection.line = line

    def lost(self, connection: OpenConnection) -> None:
        """Forget a connection that has ended."""
        del connection.line.since[connection]

    def count(self, reason: str) -> None:
        """Report that a connection is closed because of what its client has sent."""
        self._on_closed(reason)

    def start(self) -> None:
        """Begin to close overdue connections."""
        self._timer = self._clock.call_at(self.now() + self._sweep_seconds, self._sweep)

    def hurry(self) -> None:
        """The service stops: each connection that it waits for has `LAST_SECONDS`, or its bound if that is shorter."""
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
        """Stop closing overdue connections."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self.start()  # first, so that a failure below does not end the sweeps
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
        """The connection to close for a new one: the one with the longest wait in the first of these lines with any."""
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
