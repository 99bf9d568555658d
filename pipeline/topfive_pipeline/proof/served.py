"""Serves a repository with the real server, in a process of its own, and asks it.

What lives here: the process, and requests of raw images to it. What does not: what the answers should be.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, Timer
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.proof.programs import ending_with

_ADDRESS: Final = re.compile(r"classifying at http://[^:]+:(\d+)")
_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_OK: Final = 200
SMALL: Final = ("--no-grpc", "--cores", "1", "--alone-threads", "1", "--prepare-threads", "1")
"""One session for each graph: a warm-up of two takes twice as long, and a few requests gain nothing by it."""
_GRAVE: Final = frozenset({"error", "critical"})
"""Levels of log lines that say why a server ends."""


class Served:
    """A running server, which serves one repository on `port` of this machine; `pid` is its process, if known."""

    def __init__(self, port: int, pid: int | None = None) -> None:
        self._port = port
        self.pid = pid

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._port}"

    def classify(self, image: NDArray[np.uint8], *, model: str) -> list[dict[str, Any]]:
        """The predictions (`label`, `index`, `probability`) for an image UINT8 [H, W, 3].

        Raises `ConfigurationError` with what the server said if it answers with an error.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        try:
            height, width, _ = image.shape
            path = f"/v1/classify?model={model}&height={height}&width={width}"
            connection.request("POST", path, image.tobytes(), {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != _OK:
            raise ConfigurationError(
                f"the server answers {response.status} to an image of {height} x {width}: {answer}"
            )
        predictions: list[dict[str, Any]] = answer["predictions"]
        return predictions


@contextmanager
def serve(repository: Path, flags: Sequence[str] = SMALL) -> Iterator[Served]:
    """Serve `repository` while the context lasts, with these `flags` besides.

    Raises `ConfigurationError` with what the server said.
    """
    command = [sys.executable, "-m", "topfive", "--model-repository", str(repository), "--port", "0", *flags]
    # Settings of another service, and the telemetry's switch, are not this one's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOPFIVE_")}
    process = subprocess.Popen(  # noqa: S603  # our own server
        ending_with(os.getpid(), [*command, "--log-format", "json"]),
        env=environment,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    watchdog = Timer(_START_SECONDS, process.kill)
    watchdog.start()
    reader: Thread | None = None
    try:
        port = _port(process.stderr, repository)
        watchdog.cancel()
        reader = Thread(target=deque, args=(process.stderr, 0), daemon=True)  # reads on, so that it never blocks
        reader.start()
        yield Served(port, process.pid)
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if reader is not None:
            reader.join(_STOP_SECONDS)
        process.stderr.close()


def _port(log: IO[str], repository: Path) -> int:
    """The port that the server announces once its models are warm."""
    said: list[tuple[str, str]] = []
    for line in log:
        if found := _ADDRESS.search(line):
            return int(found[1])
        said.append(_level_and_message(line))
    grave = [message for level, message in said if level in _GRAVE]
    reason = (grave or [message for _, message in said] or ["it said nothing"])[-1]
    raise ConfigurationError(f"the server cannot serve {repository}: {reason}")


def _level_and_message(line: str) -> tuple[str, str]:
    """Of a line of its log in JSON; what it says before that is one message too, and the last that it says."""
    try:
        entry = json.loads(line)
        return str(entry["level"]), str(entry["message"])
    except (ValueError, TypeError, KeyError):
        return "critical", line.strip()
