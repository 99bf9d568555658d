"""A decoder: a process that decodes dear images apart from the service, so that a decode can be ended at any time.

A decode there cannot hold the service's interpreter lock, use up its memory or crash it. The process is started when it
is first needed, and again after it has ended. An image costs about a millisecond more than on a thread, a large one
also the time to map its pixels, and the first one the start of the process: 0.3 s.
"""

from __future__ import annotations

import math
import mmap
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground import errors
from topfive.ground.errors import BackendFailure, NotReady, QueueFull, TooLarge, TopfiveError, UndecodableImage
from topfive.images.decoding import DecodingRules, ImageLimits
from topfive.images.files.limits import Buffer
from topfive.request.preparing.messages import memory_file, receive, send

_ROOT: Final = Path(__file__).parents[3]
_COMMAND: Final = (
    "import socket, sys; sys.path.insert(0, sys.argv[1]); from topfive.request.preparing.child import main; "
    "main(socket.socket(fileno=0))"
)


class Decoder:
    """One decoding process; call `decode` on one thread at a time, `end` and `close` on any thread at any time.

    `seconds`: how long an image may take.
    """

    def __init__(self, limits: ImageLimits, rules: DecodingRules, *, seconds: float) -> None:
        self._asks = {"limits": asdict(limits), "rules": asdict(rules)}
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._wanted: object = None
        self._is_busy = False
        self._closed = False

    def decode(self, body: Buffer, *, wanted: object = None, short_side: int = 0) -> NDArray[np.uint8]:
        """Decode `body` as `images.decoding.decode` does; `end(wanted)` ends it.

        Also raises `TooLarge` if it takes too long, `QueueFull` if other processes left this one hardly any processor
        time, `UndecodableImage` if a signal ended the process meanwhile, `BackendFailure` if it exited with an error,
        and `NotReady`.
        """
        before = 0.0
        try:
            theirs = self._begin(wanted)
            theirs.settimeout(self._seconds)
            before = self._cpu_seconds()
            with memory_file(body) as file:
                send(theirs, self._asks | {"short_side": short_side}, file)
            answer = receive(theirs)
        except TimeoutError:
            is_starved = self._cpu_seconds() - before < self._seconds / 2
            self._forget()
            if is_starved:
                raise QueueFull(
                    f"the service is too busy to decode large images: this one had hardly begun after "
                    f"{self._seconds:g} s; retry later, or send a smaller one",
                    retry_after_seconds=self._seconds,
                ) from None
            raise TooLarge(
                f"the image takes longer than {self._seconds:g} s to decode, the most that is spent on one; save it "
                "anew, smaller or as a usual JPEG"
            ) from None
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        except OSError as error:  # files, processes or memory are used up
            self._forget()
            raise NotReady(f"there is no room now to decode a large image ({error.strerror}); retry later") from error
        with self._lock:
            self._wanted, self._is_busy = None, False
        if answer is None:
            code = self._forget()
            if code >= 0:
                raise BackendFailure(f"a decoding process ended with exit code {code}")
            raise UndecodableImage(
                f"decoding the image ended its process (signal {-code}); the file is damaged or malicious: save it anew"
            )
        said, pixels = answer
        if pixels is None:
            kind: type[TopfiveError] = getattr(errors, said["error"])
            raise kind(said["text"], logged=said["logged"])
        with pixels:
            data = mmap.mmap(pixels.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(data, np.uint8).reshape(said["shape"])

    def end(self, wanted: object) -> None:
        """Kill the process if it is decoding for `wanted`: that `decode` then raises at once."""
        with self._lock:
            if self._process is not None and self._wanted is wanted is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process for good."""
        with self._lock:
            self._closed = True
            if self._process is not None and self._socket is not None:
                self._process.kill()
                self._process.wait()
                if not self._is_busy:  # otherwise `decode` closes it
                    self._socket.close()

    def _begin(self, wanted: object) -> socket.socket:
        """Start the process if none runs, and return its socket; from now on it is decoding for `wanted`."""
        with self._lock:
            if self._closed:
                raise NotReady("the service stops and decodes no more; send the request to another replica")
            if self._process is None or self._socket is None:
                self._socket, theirs = socket.socketpair()
                with theirs:
                    command = [sys.executable, "-c", _COMMAND, str(_ROOT)]
                    self._process = subprocess.Popen(  # noqa: S603  # no part of the command comes from a client
                        command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
                    )
            self._wanted, self._is_busy = wanted, True
            return self._socket

    def _cpu_seconds(self) -> float:
        """Processor time of the process so far; its niceness gives it little while other processes are busy."""
        if sys.platform != "linux":
            return math.nan  # unknown; every comparison is false, so `decode` raises `TooLarge`
        assert self._process is not None
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)  # as clock_getcpuclockid(3) names it
        except OSError:  # the process has ended; sending to it will fail
            return 0.0

    def _forget(self) -> int:
        """End this process, so that the next image gets a new one; return its exit code."""
        with self._lock:
            code = 0
            if self._socket is not None:
                self._socket.close()
            if self._process is not None:
                self._process.kill()
                code = self._process.wait()
            self._process = self._socket = self._wanted = None
            self._is_busy = False
            return code
