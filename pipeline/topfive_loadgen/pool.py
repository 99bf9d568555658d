"""The pool of an open loop's connections. `lines` is the connection itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from topfive_loadgen.lines import ClientConnection, Ended
from topfive_loadgen.sockets import Address

FRESH_SECONDS: Final = 1.0  # a connection idle for longer is not used again: the server may be about to close it


class Pool:
    """Connections to one address, made on demand, at most `limit`."""

    def __init__(self, address: Address, *, limit: int, ended: Ended, freed: Callable[[], None]) -> None:
        self.most = 0
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._limit = limit
        self._ended = ended
        self._freed = freed
        self._lines: set[ClientConnection] = set()
        self._idle: list[ClientConnection] = []
        self._making: set[asyncio.Task[None]] = set()
        self._dropped = asyncio.Event()

    def take(self) -> ClientConnection | None:
        """The idle connection used last, or a new one; None if `limit` connections are busy."""
        while self._idle:
            line = self._idle.pop()
            if line.over:
                continue
            if self._loop.time() - line.idle_since < FRESH_SECONDS:
                return line
            line.abort()
            self._lines.discard(line)
        if len(self._lines) >= self._limit:
            return None
        line = ClientConnection(self._loop, ended=self._ended, lost=self._drop)
        self._lines.add(line)
        self.most = max(self.most, len(self._lines))
        task = self._loop.create_task(line.connect(self._address))
        self._making.add(task)
        task.add_done_callback(self._made)
        return line

    def put(self, line: ClientConnection) -> None:
        """Give a connection back; one that is over is dropped."""
        if not line.over:
            line.idle_since = self._loop.time()
            self._idle.append(line)
            self._freed()

    async def close(self) -> None:
        """End all connections, and wait until they have ended."""
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)
        for line in self._lines:
            line.abort()
        while any(line.is_made for line in self._lines):
            self._dropped.clear()
            await self._dropped.wait()

    def _made(self, task: asyncio.Task[None]) -> None:
        self._making.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._loop.call_exception_handler({"message": "a connection", "exception": error})

    def _drop(self, line: ClientConnection) -> None:
        self._lines.discard(line)
        self._dropped.set()
        self._freed()
