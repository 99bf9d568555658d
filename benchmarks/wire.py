"""A raw connection for misbehaving clients: it sends any bytes, and describes the answer in a word.

The words: a status; `closed` or `reset`, if there was no answer; `nothing`, after so long that the service must be
hanging; `left`, if the client did not wait for an answer.
"""

import json
import select
import socket
import struct
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from topfive_loadgen.http1 import Response, ResponseParser

CLOSED: Final = "closed"
RESET: Final = "reset"
NOTHING: Final = "nothing"
LEFT: Final = "left"
PIECE: Final = 16384
OVERDUE: Final = "never cut off"
UNEXPLAINED: Final = "unexplained"
PATIENCE_SECONDS = 15.0

ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Wire:
    """One raw connection."""

    def __init__(self, address: tuple[str, int], *, receive_buffer: int = 0) -> None:
        self.response: Response | None = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_SECONDS)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(address)
        self._parser = ResponseParser()
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Send all bytes; False if the service has hung up, but its answer can still be read."""
        try:
            self.socket.sendall(data)
        except (ConnectionError, TimeoutError):
            return False
        return True

    def leave(self, *, abruptly: bool) -> str:
        """Hang up, properly or with a reset."""
        if abruptly:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self.socket.close()
        return LEFT

    def answer(self, *, explained: bool = False) -> str:
        """The next answer in a word. With `explained`, an error must say what is wrong, in the service's format."""
        try:
            while (end := self._end_of_one()) < 0:
                piece = self.socket.recv(PIECE)
                if not piece:
                    return CLOSED if not self._received else "cut short"
                self._received += piece
            self.response = self._parser.feed(self._received[:end])
        except TimeoutError:
            return NOTHING
        except ConnectionError:
            return RESET
        except ValueError:
            return "not HTTP"
        self._received = self._received[end:]
        assert self.response is not None
        if explained and self.response.status >= 400 and not _explains(self.response.body):
            return f"{self.response.status} {UNEXPLAINED}"
        return str(self.response.status)

    def is_quiet(self) -> bool:
        """Whether neither an answer nor the end of the connection has come."""
        return not select.select([self.socket], [], [], 0.0)[0]

    def status_only(self) -> str:
        """The status of an answer without a body, such as one to HEAD."""
        try:
            while b"\r\n\r\n" not in self._received and (piece := self.socket.recv(PIECE)):
                self._received += piece
        except TimeoutError:
            return NOTHING
        except ConnectionError:
            return RESET
        return self._received[9:12].decode() if self._received.startswith(b"HTTP/1.1 ") else CLOSED

    def drip(self, data: bytes, *, every_seconds: float, within_seconds: float) -> str:
        """Send byte after byte, then nothing, until the service hangs up; return its answer, or OVERDUE."""
        end = time.monotonic() + within_seconds
        for start in range(len(data) + 1):
            wait = every_seconds if start < len(data) else end - time.monotonic()
            if select.select([self.socket], [], [], max(0.0, wait))[0]:
                return self.answer()
            if time.monotonic() > end:
                break
            with suppress(ConnectionError):
                self.socket.send(data[start : start + 1])
        return OVERDUE

    def _end_of_one(self) -> int:
        """Where the first received answer ends; -1 if it is incomplete."""
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return -1
        length = 0
        for line in self._received[:head].split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        end = head + 4 + length
        return end if len(self._received) >= end else -1


def _explains(body: bytes) -> bool:
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and bool(document.get("error")) and bool(document.get("code"))
