"""The main function of a decoding process: it decodes dear images for its parent (`request.preparing.decoder`).

It decodes one image at a time, gives way to all other processes, and may be killed at any moment.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import TopfiveError
from topfive.images.decoding import DecodingRules, ImageLimits, decode
from topfive.request.preparing.messages import memory_file, receive, send

_NICENESS: Final = 10
_MAX_TEXT: Final = 2000


def main(parent: socket.socket) -> None:
    """Decode for `parent` until it hangs up."""
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes; the parent ends this one
    while (asked := receive(parent)) is not None:
        said, body = asked
        assert body is not None
        try:
            limits, rules = ImageLimits(**said["limits"]), DecodingRules(**said["rules"])
            pixels = _decoded(body, limits, rules, short_side=said["short_side"])
        except TopfiveError as error:
            _send_error(parent, type(error).__name__, str(error), error.logged)
        except Exception as error:  # noqa: BLE001  # a defect of ours: the parent reports it, this process goes on
            _send_error(parent, "BackendFailure", repr(error), repr(error))
        else:
            with memory_file(pixels.data) as answer:
                shape = pixels.shape
                del pixels
                send(parent, {"shape": shape}, answer)


def _decoded(file: IO[bytes], limits: ImageLimits, rules: DecodingRules, *, short_side: int) -> NDArray[np.uint8]:
    with file:
        body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return decode(memoryview(body), limits, rules, short_side=short_side)


def _send_error(parent: socket.socket, kind: str, text: str, logged: str) -> None:
    send(parent, {"error": kind, "text": text[:_MAX_TEXT], "logged": logged[:_MAX_TEXT]})
