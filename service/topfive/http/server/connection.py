"""One HTTP connection from its acceptance to its end, bounded whatever its client does.

What lives here: in which line of `topfive.access.connections` it stands, which client is refused, and how it is closed.
What does not: how it is read (`reading`), and how a request is answered (`cycle`).

uvicorn keeps the server. Of uvicorn no more is used here than a class needs that `Config(http=…)` names: the arguments
by which one is made, `shutdown()`, which is called at a stop, and `connections`, `tasks`, `total_requests` and
`default_headers` of the `ServerState`.
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
    """One connection, which reads a request, has it answered, and only then reads the next.

    `application` answers; `connections` are the books that it stands in. The other arguments are uvicorn's.
    """

    line: Line
    transport: Transport
    flow: Flow

    def __init__(
        self,
        config: object,  # of no use here
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        application: Application,
        connections: Connections,
    ) -> None:
        self.cycle: Cycle | None = None
        """The request whose head is complete and whose answer is not."""
        self._reader = Reader(self, turns=connections.turns, now=connections.now)
        self._loop = _loop or asyncio.get_running_loop()
        self._application = application
        self._books = connections
        self._server = server_state
        self._app_state = app_state
        self._scope: dict[str, Any] = {}  # what those of all its requests begin with
        self._stop_handshake: Callable[[], object] | None = None
        self._has_asked = False  # a first request
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

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as the event loop has it
        """Wait for a request."""
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
        """Tell the application."""
        self._server.connections.discard(self)
        self.flow.resume_writing()
        if self.cycle is not None:
            self.cycle.give_up()
        self.cycle, self._scope = None, {}
        self._reader.go_deaf()
        self._books.lost(self)

    # Reading and answering

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        self._reader.take(data)
        self.stand()

    def begin(self, head: Head) -> None:
        """Have a request answered, whose body may be still to come. Raises `Unreadable`."""
        self._has_asked = True
        scope = {**self._scope, **head.scope(), BEGAN: head.began, "state": self._app_state.copy()}
        self.cycle = Cycle(self, head, scope, default_headers=self._server.default_headers)
        task = self._loop.create_task(self.cycle.run(self._application))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    @property
    def is_last(self) -> bool:
        """Whether the connection closes with the answer: the service drains, and nothing has come after its request."""
        return self._books.closing and not self._reader.is_ahead

    def on_answered(self, *, keeps_alive: bool) -> None:
        """The answer is written: go on, or close; but first let the client finish the body that it is still sending."""
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
        if not self.flow.is_read:  # as it is wherever something is ahead
            self.flow.resume_body()
            if not reader.waits_turn:
                reader.read_on()
        self.stand()

    def on_discarded(self) -> None:
        """The rest of a body has come whose request had been answered before: close, if the answer said so."""
        if self._closes_after_body:
            self.close()

    # Waiting

    def stand(self) -> None:
        """Stand in the line for what is waited for now."""
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
        """The client does not read its answers."""
        self.flow.pause_writing()
        self.stand()

    def resume_writing(self) -> None:
        """It does."""
        self.flow.resume_writing()
        self.stand()

    # Closing

    def shutdown(self) -> None:
        """Close, after what has been received is answered."""
        self._books.closing = True
        if self.cycle is None:
            self.close()

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
        """Answer what is just coming in with `refusal`, and close."""
        if refusal.reason is not None:
            self._books.count(refusal.reason)
        cycle = self.cycle
        if self._reader.body_left if cycle is None else cycle.is_started:  # there is an answer already
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
        """Say that nothing follows, and go on reading: a client that is cut off while it sends may never read why."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:  # TLS, whose close does the same
            self.flow.read_all()
            self.transport.close()

    def close(self) -> None:
        """Close once all that is written is sent."""
        books, transport = self._books, self.transport
        self._reader.go_deaf()
        self.flow.read_all()
        transport.close()
        # Over TLS a close waits for the client's. A service that drains must not wait long for one that never closes.
        books.move(self, books.farewell if books.closing and not transport.get_write_buffer_size() else books.reader)


def _address(transport: Transport, name: str) -> tuple[str, int] | None:
    """Host and port of one end; None where the system does not tell, of a client that has hung up."""
    address = transport.get_extra_info(name)
    return None if address is None else (address[0], address[1])
