"""Runs Locust as a separate process: starts it with a number of users, watches it, ends it.

Locust changes sockets and threads of the whole process that imports it, so it needs its own. Each measurement starts a
new one, so that it does not inherit connections and memory of the measurement before.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from loadtests.recorder import Reader, Sample
from loadtests.results import Mix

_LOCUSTFILE: Final = Path(__file__).resolve().parent / "locustfile.py"
_STOP_SECONDS: Final = 20.0
_LOG_TAIL: Final = 3000


class GeneratorFailed(Exception):
    """Locust ended by itself or did not begin, so nothing was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What Locust is to do. `scenarios`: all over HTTP, or "grpc" alone. `shape`: options of `--load-shape`."""

    url: str
    corpus: Path
    mix: Mix
    workers: int
    processes: int = 1
    scenarios: Sequence[str]
    grpc: str = ""
    null: bool = False
    seed: int = 1
    seconds_most: float = 600.0  # Locust ends after this time even if this process has died
    shape: Sequence[str] = ()

    def arguments(self, samples: Path) -> list[str]:
        """The arguments for Locust's command line."""
        asked = ["--headless", "--only-summary", "--loglevel", "WARNING", "--host", self.url]
        asked += ["--corpus", str(self.corpus), "--samples", str(samples), "--seed", str(self.seed), "--mix", self.mix]
        asked += self.shape or [
            *("--users", str(self.workers), "--spawn-rate", str(self.workers)),
            *("--run-time", str(math.ceil(self.seconds_most))),
        ]
        if self.processes > 1:
            asked += ["--processes", str(self.processes)]
        if self.null:
            asked.append("--null")
        if self.scenarios == ["grpc"]:
            return [*asked, "--grpc-target", self.grpc, "Grpc"]
        return [*asked, "--scenarios", ",".join(self.scenarios), "Mixed"]


class LocustProcess:
    """Locust and its processes, from construction to the end of the `with` block."""

    def __init__(self, load: Load) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="topfive-locust-")
        samples = Path(self._folder.name)
        self._reader = Reader(samples)
        self._log = samples / "log"
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), *load.arguments(samples)]
            # A separate session: Ctrl-C then reaches only this process, which ends Locust itself.
            self._process = subprocess.Popen(  # noqa: S603
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.abandon()
            self._process.wait()
        self._folder.cleanup()

    def abandon(self) -> None:
        """Make its end short: nobody waits for the requests that are under way."""
        with suppress(psutil.NoSuchProcess):  # one that ends meanwhile
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.kill()

    @property
    def is_over(self) -> bool:
        """Whether Locust has ended by itself, as it does after a shape."""
        return self._process.poll() is not None

    def samples(self) -> list[Sample]:
        """The samples written since the last call."""
        return self._reader.new()

    def cpu_seconds(self) -> float:
        """The CPU time of all its processes so far; 0 once it has ended."""
        try:
            own = psutil.Process(self._process.pid)
            return sum(sum(one.cpu_times()[:2]) for one in [own, *own.children(recursive=True)])
        except psutil.NoSuchProcess:
            return 0.0

    def check(self) -> None:
        """Raise `GeneratorFailed` if Locust has ended."""
        if self.is_over:
            said = self._log.read_text(errors="replace")[-_LOG_TAIL:]
            raise GeneratorFailed(f"Locust ended with {self._process.returncode}; the end of its output:\n{said}")
