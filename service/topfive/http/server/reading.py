"""Reads the bytes of a connection as requests, one at a time.

Bytes beyond the request that is being answered are kept unread, and reading stops until the answer is complete. Small
chunks and discarded bytes wait for a turn of the event loop (`topfive.machine.turns`), so that no connection takes more
than its share of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from topfive.http.server.chunks import Chunks
from topfive.http.server.heads import CHUNKED, Head, end_of_empty_lines
from topfive.http.server.refusals import TOO_MANY_CHUNKS, Unreadable

if TYPE_CHECKING:
    from topfive.http.server.connection import Connection
    from topfive.machine.turns import Turns


class Reader:
    """The reader of one connection, which answers a request before it reads the next."""

    __slots__ = (
        "_ahead",
        "_ahead_at",
        "_ahead_since",
        "_chunks",
        "_connection",
        "_now",
        "_turns",
        "body_left",
        "head",
        "is_deaf",
        "waits_turn",
    )

    def __init__(self, connection: Connection, *, turns: Turns, now: Callable[[], float]) -> None:
        self.head: Head | None = None
        """The head that is being read."""
        self.body_left = 0
        """The bytes of the current body that are still to come, or `CHUNKED`."""
        self.is_deaf = False
        """Whether all further bytes of the connection are discarded."""
        self.waits_turn = False
        self._connection = connection
        self._turns = turns
        self._now = now
        self._chunks: Chunks | None = None  # of the current body, if it is chunked
        self._ahead = b""  # bytes received but kept: beyond the current request, or beyond what one turn allows
        self._ahead_at = 0  # the position of the first unread byte in `_ahead`
        self._ahead_since = 0.0  # when `_ahead` was received

    @property
    def is_ahead(self) -> bool:
        """Whether bytes have arrived that are not read yet."""
        return bool(self._ahead)

    def go_deaf(self) -> None:
        """Discard all further bytes."""
        self.is_deaf, self.head, self._ahead = True, None, b""

    def take(self, data: bytes) -> None:
        """Read bytes that have arrived, or keep them for later."""
        if self.is_deaf:
            if not self._connection.transport.is_closing():
                self._wait_turn()
        elif self._ahead:
            self._ahead, self._ahead_at = self._ahead[self._ahead_at :] + data, 0
        elif len(data) <= self.body_left:
            self.body_left -= len(data)
            self._pass_on(data)
        else:
            self._read(data, 0, self._now())
            if self.waits_turn and self.is_ahead and self._turns.crowded:
                self._connection.refuse(TOO_MANY_CHUNKS)

    def read_on(self) -> None:
        """Read the kept bytes, then go on reading."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            self._read(data, self._ahead_at, self._ahead_since)
        if not self._ahead and not self.waits_turn:
            self._connection.flow.release()

    def _read(self, data: bytes, at: int, since: float) -> None:
        """Read `data`, received at `since`, from `at` on, as far as allowed now; keep the rest."""
        size = len(data)
        try:
            while at < size and not self.is_deaf:
                left, chunks = self.body_left, self._chunks
                if left > 0:
                    end = min(size, at + left)
                    self.body_left = left - (end - at)
                    self._pass_on(data[at:end])
                elif chunks is not None:
                    end = self._take_chunks(chunks, data, at)
                    if end < size and self.body_left:
                        self._keep(data, end, since)
                        self._wait_turn()
                        return
                elif self._connection.cycle is not None:
                    self._keep(data, at, since)
                    self._connection.flow.hold()
                    return
                elif self.head is not None or data[at] not in b"\r\n":
                    end = self._take_head(data, at, since)
                else:
                    end = end_of_empty_lines(data, at)
                at = end
        except Unreadable as error:
            self._connection.refuse(error.refusal)

    def _keep(self, data: bytes, at: int, since: float) -> None:
        self._ahead, self._ahead_at, self._ahead_since = data, at, since

    def _take_head(self, data: bytes, at: int, since: float) -> int:
        """Read a head from `at` on, and begin its request if it is complete; return the position reached."""
        head = self.head
        if head is None:
            head = self.head = Head(since)
        end = head.take(data, at)
        if head.is_complete:
            self.head, self.body_left = None, head.body_bytes
            if head.body_bytes == CHUNKED:
                self._chunks = Chunks()
            self._connection.begin(head)
        return end

    def _take_chunks(self, chunks: Chunks, data: bytes, at: int) -> int:
        """Pass on the next bytes of a chunked body; return the position reached. Raises `Unreadable`."""
        body, at = chunks.read(data, at)
        if chunks.over:
            self._chunks, self.body_left = None, 0
        self._pass_on(body)
        return at

    def _pass_on(self, body: bytes) -> None:
        """Give a part of the body to its request; discard it if the request is answered already."""
        cycle = self._connection.cycle
        if cycle is not None:
            cycle.take(body, is_last=not self.body_left)
            return
        if body:
            self._wait_turn()
        if not self.body_left:
            self._connection.on_discarded()

    def _wait_turn(self) -> None:
        """Stop reading until a later turn of the event loop."""
        if not self.waits_turn:
            self.waits_turn = True
            self._connection.flow.hold()
            self._turns.ask(self._on_turn)

    def _on_turn(self) -> None:
        self.waits_turn = False
        if self.is_deaf:
            self._connection.flow.release()
        else:
            self.read_on()
            self._connection.stand()
