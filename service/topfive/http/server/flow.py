"""The flow control of a connection: whether it is read, and whether it can be written to."""

from __future__ import annotations

import asyncio


class Flow:
    """The flow of one connection. It is read unless `hold` or `pause_body` is in effect."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_read = True
        self.drained: asyncio.Event | None = None
        """An event while the client does not read its answers, set when it reads again; otherwise None."""
        self._transport = transport
        self._is_held = False
        self._is_full = False

    def hold(self) -> None:
        """Stop reading until `release`."""
        self._is_held = True
        self._apply()

    def release(self) -> None:
        """Read on, unless `pause_body` is in effect."""
        self._is_held = False
        self._apply()

    def pause_body(self) -> None:
        """Stop reading until `resume_body`: the application lags behind the body."""
        self._is_full = True
        self._apply()

    def resume_body(self) -> None:
        """Read on: the application has caught up, or the request is over."""
        self._is_full = False
        self._apply()

    def read_all(self) -> None:
        """Read on in any case: what comes is discarded, and TLS needs to read the client's close."""
        self._is_held = self._is_full = False
        self._apply()

    def _apply(self) -> None:
        wanted = not (self._is_held or self._is_full)
        if wanted is not self.is_read and not self._transport.is_closing():
            self.is_read = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self.drained = asyncio.Event()

    def resume_writing(self) -> None:
        """The write buffer has room again, or the client is gone."""
        if self.drained is not None:
            self.drained.set()
            self.drained = None
