"""Messages between the service and its decoding processes: JSON over a socket, with bytes in memory files beside it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Mapping
from typing import IO, Any, Final

from topfive.images.files.limits import Buffer

_LENGTH_BYTES: Final = 4
_MAX_BYTES: Final = 1 << 16


def memory_file(data: Buffer) -> IO[bytes]:
    """A file without a name that holds `data`: in memory if the system offers that."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("topfive"), "w+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # the caller closes it
    left = memoryview(data).cast("B")
    while len(left):
        left = left[file.write(left) :]
    return file


def send(to: socket.socket, said: Mapping[str, Any], file: IO[bytes] | None = None) -> None:
    """Send one message, and `file` with it."""
    text = json.dumps(said).encode()
    begin = len(text).to_bytes(_LENGTH_BYTES, "big")
    if file is None:
        to.sendall(begin)
    else:
        socket.send_fds(to, [begin], [file.fileno()])  # four bytes are sent whole or not at all
    to.sendall(text)


def receive(sender: socket.socket) -> tuple[dict[str, Any], IO[bytes] | None] | None:
    """The next message and its file; None if `sender` has hung up."""
    begin, descriptors, _, _ = socket.recv_fds(sender, _LENGTH_BYTES, 1)
    file = os.fdopen(descriptors[0], "r+b", buffering=0) if descriptors else None
    begin += _received(sender, _LENGTH_BYTES - len(begin)) if begin else b""
    length = int.from_bytes(begin, "big")
    text = _received(sender, length) if length <= _MAX_BYTES else b""
    if not begin or len(text) < length:
        if file is not None:
            file.close()
        return None
    said: dict[str, Any] = json.loads(text)
    return said, file


def _received(sender: socket.socket, length: int) -> bytes:
    """The next `length` bytes, or fewer if `sender` hung up before."""
    parts = b""
    while len(parts) < length and (part := sender.recv(length - len(parts))):
        parts += part
    return parts
