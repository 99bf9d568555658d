"""Whether a connection is read, and whether it can be written to."""

from __future__ import annotations

import asyncio


class Flow:
    """That of one connection. It is read while neither the connection holds it nor its request has enough."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.is_read = True
        self.drained: asyncio.Event | None = None
        """While the client takes no more of its answers: what is set when it does."""
        self._transport = transport
        self._is_held = False
        self._is_full = False

    def hold(self) -> None:
        """Do not read until `release`."""
        self._is_held = True
        self._apply()

    def release(self) -> None:
        """Read on, unless the request has enough."""
        self._is_held = False
        self._apply()

    def pause_body(self) -> None:
        """The request has enough of its body until `resume_body`."""
        self._is_full = True
        self._apply()

    def resume_body(self) -> None:
        """The request takes more, or needs no more."""
        self._is_full = False
        self._apply()

    def read_all(self) -> None:
        """Whatever held reading back is over: what comes is discarded, and TLS waits for the client's last word."""
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
        """The client takes no more for now."""
        self.drained = asyncio.Event()

    def resume_writing(self) -> None:
        """It does again, or it is gone."""
        if self.drained is not None:
            self.drained.set()
            self.drained = None
