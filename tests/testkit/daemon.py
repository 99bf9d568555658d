"""A program of Prometheus' kind as a process: ready once constructed, and ended with its block."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.request import urlopen

DEADLINE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02


class Daemon:
    """`command`, which answers at `url` and says at the path `ready` that it does; its log is in `folder`."""

    def __init__(self, command: Sequence[str], *, url: str, folder: Path, ready: str = "/-/ready") -> None:
        self.url: Final = url
        self._ready = ready
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self.wait_until(self._is_ready)
        except BaseException:  # also an interrupt or a timeout of the test: the process must not outlive it
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(DEADLINE_SECONDS)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Ask again and again until `condition` holds."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, f"{condition} never came true"
            threading.Event().wait(_PAUSE_SECONDS)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}{self._ready}", timeout=DEADLINE_SECONDS) as answer:
                return bool(answer.status == 200)
        except OSError:  # it does not listen yet, or says 503
            return False
