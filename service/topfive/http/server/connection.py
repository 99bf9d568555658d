"""One HTTP connection, from its acceptance to its end.

It chooses its line in the books (`topfive.access.connections`), refuses, and closes. `reading` reads its bytes, and
`cycle` answers a request.

uvicorn runs the server and makes this class, which `Config(http=…)` names. Used of uvicorn: the constructor's
arguments, `shutdown()`, and `connections`, `tasks`, `total_requests` and `default_headers` of the `ServerState`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from topfive.ground.types import BEGAN, LET_GO
from topfive.http.server.cycle import Application, Cycle
from topfive.http.server.flow import Flow
from topfive.http.server.reading import Reader
from topfive.http.server.refusals import KEPT_OTHERS_WAITING, STOPPING, Refusal, too_slow

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport
    from collections.abc import Callable

    from uvicorn.server import ServerState

    from topfive.access.connections import Connections, Line
    from topfive.http.server.heads import Head


class Connection(asyncio.Protocol):
    """One connection: it reads a request, lets `application` answer it, and only then reads the next.

    `connections` are the books that it stands in. The other arguments are uvicorn's.
    """

    line: Line
    transport: Transport
    flow: Flow

    def __init__(
        self,
        config: object,  # not used
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        application: Application,
        connections: Connections,
    ) -> None:
        self.cycle: Cycle | None = None
        """The request that is being answered: its head is complete, its answer is not."""
        self._reader = Reader(self, turns=connections.turns, now=connections.now)
        self._loop = _loop or asyncio.get_running_loop()
        self._application = application
        self._books = connections
        self._server = server_state
        self._app_state = app_state
        self._scope: dict[str, Any] = {}  # the part of the scope that is the same for all requests of the connection
        self._stop_handshake: Callable[[], object] | None = None
        self._has_asked = False  # whether a request has come
        self._closes_after_body = False

    # Coming and going

    def accepted(self, stop_handshake: Callable[[], object]) -> None:
        """Register in the books before the TLS handshake; `connection_made` follows after it."""
        self._stop_handshake = stop_handshake
        self._books.open(self)

    @property
    def is_shaking_hands(self) -> bool:
        """Whether `connection_made` is still to come."""
        return self._stop_handshake is not None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # the event loop's own type
        """Begin to wait for a request."""
        self.transport, self.flow = transport, Flow(transport)
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "server": _address(transport, "sockname"),
            "client": _address(transport, "peername"),
            "scheme": "http" if transport.get_extra_info("sslcontext") is None else "https",
            "root_path": "",
            LET_GO: self.let_go,
        }
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn's own classes, by its types
        if self._stop_handshake is None:
            self._books.open(self)
        self._stop_handshake = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and leave the books."""
        self._server.connections.discard(self)
        self.flow.resume_writing()
        if self.cycle is not None:
            self.cycle.give_up()
        self.cycle, self._scope = None, {}
        self._reader.go_deaf()
        self._books.lost(self)

    # Reading and answering

    def data_received(self, data: bytes) -> None:
        """Read what has arrived."""
        self._reader.take(data)
        self.stand()

    def begin(self, head: Head) -> None:
        """Start the answer to a request; its body may still be arriving. Raises `Unreadable`."""
        self._has_asked = True
        scope = {**self._scope, **head.scope(), BEGAN: head.began, "state": self._app_state.copy()}
        self.cycle = Cycle(self, head, scope, default_headers=self._server.default_headers)
        task = self._loop.create_task(self.cycle.run(self._application))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    @property
    def is_last(self) -> bool:
        """Whether the connection closes after this answer: the service drains, and no further bytes have arrived."""
        return self._books.closing and not self._reader.is_ahead

    def on_answered(self, *, keeps_alive: bool) -> None:
        """After the answer: read on or close, but first let the client finish a body that it is still sending."""
        self._server.total_requests += 1
        self.cycle = None
        reader = self._reader
        if reader.is_deaf:
            return
        if not keeps_alive and reader.body_left:
            self._closes_after_body = True
            self._half_close()
        if self.transport.is_closing() or not (keeps_alive or reader.body_left):
            self.close()
            return
        if not self.flow.is_read:  # reading is on hold whenever there are bytes ahead
            self.flow.resume_body()
            if not reader.waits_turn:
                reader.read_on()
        self.stand()

    def on_discarded(self) -> None:
        """The body of a request that was answered early has ended: close if the answer said so."""
        if self._closes_after_body:
            self.close()

    # Waiting

    def stand(self) -> None:
        """Move to the line that fits what the connection waits for now."""
        reader, books = self._reader, self._books
        if reader.is_deaf:
            return
        if self.flow.drained is not None:
            line = books.reader
        elif reader.body_left:
            line = books.body
        elif self.cycle is not None:
            line = books.answering
        elif reader.head is not None:
            line = books.head
        else:
            line = books.idle if self._has_asked else books.fresh
        if line is not self.line:
            books.move(self, line)

    def pause_writing(self) -> None:
        """The write buffer is full: the client does not read its answers."""
        self.flow.pause_writing()
        self.stand()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.flow.resume_writing()
        self.stand()

    # Closing

    def shutdown(self) -> None:
        """Close after the current answer; at once if there is none."""
        self._books.closing = True
        if self.cycle is None:
            self.close()

    def expire(self, line: Line) -> None:
        """Close an overdue connection; answer 408 or 503 first if a request is incomplete."""
        books = self._books
        if line is books.head or line is books.body:
            limits = books.limits
            slow = too_slow(head_seconds=limits.head_seconds, body_seconds=limits.body_seconds)
            self.refuse(STOPPING if books.stopping else slow)
        else:
            self.abort()

    def let_go(self) -> None:
        """Refuse a request whose body has stalled while other requests have no room for their bodies."""
        if self._reader.body_left and not self._reader.is_deaf:
            self.refuse(KEPT_OTHERS_WAITING)

    def abort(self) -> None:
        """Close at once."""
        self._reader.go_deaf()
        if self._stop_handshake is not None:
            self._stop_handshake()
        else:
            self.transport.abort()

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request that is coming in with `refusal`, and close."""
        if refusal.reason is not None:
            self._books.count(refusal.reason)
        cycle = self.cycle
        if self._reader.body_left if cycle is None else cycle.is_started:  # an answer has been sent or begun
            self.abort()
            return
        self._reader.go_deaf()
        if cycle is not None:
            cycle.give_up()
        self.transport.write(refusal.answer)
        self.flow.read_all()
        self._half_close()
        self._books.move(self, self._books.farewell)

    def _half_close(self) -> None:
        """End the sending side and go on reading. A client that is cut off while it sends may never read the answer."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:  # TLS: its close does the same
            self.flow.read_all()
            self.transport.close()

    def close(self) -> None:
        """Close once all written bytes are sent."""
        books, transport = self._books, self.transport
        self._reader.go_deaf()
        self.flow.read_all()
        transport.close()
        # Over TLS a close waits until the client closes too. A service that drains must not wait long for that.
        books.move(self, books.farewell if books.closing and not transport.get_write_buffer_size() else books.reader)


def _address(transport: Transport, name: str) -> tuple[str, int] | None:
    """Host and port of one end; None if the system does not know them, because the client has hung up."""
    address = transport.get_extra_info(name)
    return None if address is None else (address[0], address[1])
