"""One HTTP connection from its acceptance to its end, bounded whatever its client does.

What lives here: in which line of `topfive.access.connections` it stands, who is refused, and how it is closed. How it
is parsed is in `parsing`, how it is answered in `cycle`. The rest is uvicorn's, which has no hook for these: the
three files know its internals, and pyproject.toml holds uvicorn to the series that they were written for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from topfive.http.server.parsing import RequestReader
from topfive.http.server.refusals import KEPT_OTHERS_WAITING, STOPPING, Refusal, too_slow

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport
    from collections.abc import Callable

    from uvicorn import Config
    from uvicorn.server import ServerState

    from topfive.access.connections import Connections, Line
    from topfive.http.server.cycle import LeanCycle


class LeanHttpProtocol(RequestReader):
    """One connection."""

    line: Line

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, connections.turns)
        self._books = connections
        self._stop_handshake: Callable[[], object] | None = None
        self._closes_after_body = False

    # Coming and going

    def accepted(self, stop_handshake: Callable[[], object]) -> None:
        """Count from now on, before the handshake that `connection_made` comes after."""
        self._stop_handshake = stop_handshake
        self._books.open(self)

    @property
    def is_shaking_hands(self) -> bool:
        """Whether `connection_made` is still to come."""
        return self._stop_handshake is not None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a request."""
        super().connection_made(transport)
        if self._stop_handshake is None:
            self._books.open(self)
        self._stop_handshake = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application."""
        super().connection_lost(exc)
        self._deaf, self._ahead = True, b""
        self._books.lost(self)

    # Waiting

    def on_progress(self) -> None:
        """Stand in the line for what is waited for now."""
        if self._deaf:
            return
        books = self._books
        if self.flow.write_paused:
            line = books.reader
        elif self._answering:
            line = books.answering
        elif self._body_left:
            line = books.body
        elif self._head.nbytes:
            line = books.head
        else:
            line = books.fresh if self.line is books.fresh else books.idle
        if line is not self.line:
            books.move(self, line)

    def on_discarded(self) -> None:
        """Wait for the next request, or close if the answer said so."""
        if self._closes_after_body:
            self._close()
        else:
            self._books.move(self, self._books.idle)

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        super().pause_writing()
        self.on_progress()

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        self.on_progress()

    @property
    def is_last(self) -> bool:
        """Whether the connection closes with the answer: the service drains, and nothing has come after its request."""
        return self._books.closing and not self._ahead

    def on_response_complete(self) -> None:
        """Count; the answer may not have been written yet."""
        self.server_state.total_requests += 1

    def on_answered(self) -> None:
        """The answer is written: go on."""
        if self.transport.is_closing():
            self._close()
        else:
            self.read_on()

    # Closing

    def shutdown(self) -> None:
        """Close, after what has been received is answered."""
        self._books.closing = True
        if not self._owes_answer:
            self._close()

    def expire(self, line: Line) -> None:
        """Tell a client that is too slow with its request, if it can be told, and close."""
        books = self._books
        if line is books.head or line is books.body:
            limits = books.limits
            slow = too_slow(head_seconds=limits.head_seconds, body_seconds=limits.body_seconds)
            self.refuse(STOPPING if books.stopping else slow)
        else:
            self.abort()

    def let_go(self) -> None:
        """End a request whose body has stalled while others have no room for theirs."""
        if self._body_left and not self._deaf:
            self.refuse(KEPT_OTHERS_WAITING)

    def abort(self) -> None:
        """Close at once."""
        self._deaf = True
        if self._stop_handshake is not None:
            self._stop_handshake()
        else:
            self.transport.abort()

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is just coming in with `refusal`, and close."""
        self._deaf, self._ahead = True, b""
        if refusal.reason is not None:
            self._books.count(refusal.reason)
        if self._owes_answer or self._body_left:
            if self.cycle.response_started:
                self.abort()
                return
            cast("LeanCycle", self.cycle).give_up()
        self.transport.write(refusal.answer)
        self._read_all()
        self._half_close()
        self._books.move(self, self._books.farewell)

    def close_after_answer(self) -> None:
        """Close once the answer is sent; but first let the client finish the body that it is still sending."""
        if self._body_left:
            self._closes_after_body = True
            self._half_close()
        else:
            self._close()

    def _read_all(self) -> None:
        """Whatever held reading back is over: what comes is discarded, and TLS waits for the client's last word."""
        self._flow.resume_reading()
        self._flow.release()

    def _half_close(self) -> None:
        """Say that nothing follows, and go on reading: who is cut off while it sends may never read the answer."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:  # TLS, whose close does the same
            self.transport.close()

    def _close(self) -> None:
        books, transport = self._books, self.transport
        self._deaf = True
        self._read_all()
        transport.close()
        # Over TLS a close waits for the client's. A service that drains must not wait long for who never closes.
        books.move(self, books.farewell if books.closing and not transport.get_write_buffer_size() else books.reader)
