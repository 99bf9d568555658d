"""The progress of a run on the terminal: what it is at, answers and errors so far, and the seconds left of all of it.

On a terminal one line is kept up to date. In a log file, where each line stays, there is one every half minute.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TextIO

from loadtests.run_plan import RunPlan
from loadtests.shapes import SIZES
from loadtests.windows import AGREED

TERMINAL_SECONDS: Final = 1.0
LOG_SECONDS: Final = 30.0
_CLEAR: Final = "\r\x1b[2K"
_START_SECONDS: Final = 4.0  # Locust's own start, and its end
_CAPACITY_SECONDS: Final = 100.0  # of a search: about ten probes, one of them longer
_NULL_OPEN_SECONDS: Final = 18.0
_PREPARATION: Final = "preparing"
_PREPARATION_SECONDS: Final = 8.0
_LEAST, _MOST = 0.5, 2.0  # by so much at most the steps so far correct the estimate for those to come

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run, and how long it will probably take."""

    name: str
    seconds: float


def steps(plan: RunPlan) -> list[Step]:
    """The steps of a plan in their order, with an estimate for each."""
    rule = plan.rule
    windows = min(rule.windows_most, AGREED + 1)
    cell = _START_SECONDS + rule.warm_up_seconds + windows * rule.window_seconds
    found = [Step(_PREPARATION, _PREPARATION_SECONDS)]
    if plan.null:
        own = _START_SECONDS + min(1.0, rule.warm_up_seconds) + AGREED * min(2.0, rule.window_seconds)
        found.append(Step("null backend", len(plan.workers) * own + _NULL_OPEN_SECONDS))
    found += [Step(f"{mix} × {workers}", cell) for mix in plan.mixes for workers in plan.workers]
    found += [Step(shape, _START_SECONDS + SIZES[shape].seconds) for shape in plan.shapes]
    for mix in plan.open_mixes if plan.is_open else ():
        found += [Step(f"{mix}: open loop", 5.0)]
        found += [Step(f"{mix} at {rate:g}/s", plan.open_seconds) for rate in plan.open_rates]
        found += [Step(f"{mix}: capacity", _CAPACITY_SECONDS) for _ in plan.capacity_p99_seconds]
    return found


class Progress:
    """Tells the progress on `stream` until the end of the `with` block; `begin` goes on to the next step."""

    def __init__(self, ahead: Sequence[Step], stream: TextIO, *, clock: Clock = time.monotonic) -> None:
        self._ahead = list(ahead)
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty()
        self._began = self._step_began = clock()
        self._at = 0
        self._phase = self._ahead[0].name if ahead else ""
        self._taken = 0.0  # by the steps that are over
        self._right = self._wrong = 0
        self._shown = ""
        self._finished = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.finish()

    def begin(self, phase: str) -> None:
        """Go on to the next step."""
        now = self._clock()
        self._taken += now - self._step_began
        self._step_began = now
        self._at = min(self._at + 1, len(self._ahead))
        self._phase = phase
        self.say(phase)

    def count(self, right: int, wrong: int) -> None:
        """Add to the answers and errors of the server under test."""
        self._right += right
        self._wrong += wrong

    def say(self, line: str) -> None:
        """Write a line that stays, with the time since the run began."""
        self._write(f"[{_clock_face(self._clock() - self._began)}] {line}")

    def step(self, line: str) -> None:
        """Write a line about the current step."""
        self.say(f"  {line}")

    def alarm(self, line: str) -> None:
        """Write a line that must not be missed."""
        bold = ("\x1b[1m", "\x1b[0m") if self._is_terminal else ("", "")
        self.say(f"{bold[0]}!! {line}{bold[1]}")

    @property
    def seconds_left(self) -> float:
        """The estimate for the rest of the run, corrected by how long the steps so far took."""
        if not self._ahead or self._finished:
            return 0.0
        over = sum(step.seconds for step in self._ahead[: self._at])
        factor = min(max(self._taken / over, _LEAST), _MOST) if over else 1.0
        current, *later = [step.seconds * factor for step in self._ahead[self._at :]] or [0.0]
        return max(0.0, current - (self._clock() - self._step_began)) + sum(later)

    def line(self) -> str:
        """The progress in one line."""
        errors = "1 error" if self._wrong == 1 else f"{self._wrong} errors"
        answers = "1 answer" if self._right == 1 else f"{self._right} answers"
        where = f"step {min(self._at + 1, len(self._ahead))} of {len(self._ahead)}, {self._phase}"
        left = f"about {_clock_face(self.seconds_left)} left"
        return f"[{_clock_face(self._clock() - self._began)}] {where}: {answers}, {errors} so far; {left}"

    def tell(self) -> None:
        """Bring the line on a terminal up to date, or add one to a log."""
        line = self.line()
        if not self._is_terminal:
            self._write(line)
            return
        line = line[: shutil.get_terminal_size().columns - 1]  # a line that wraps could not be taken off again
        with self._lock:
            self._shown = line
            self._stream.write(_CLEAR + line)
            self._stream.flush()

    def finish(self) -> None:
        """Take the line off the terminal: nothing is under way."""
        self._finished = True
        with self._lock:
            if self._shown:
                self._shown = ""
                self._stream.write(_CLEAR)
                self._stream.flush()

    def _write(self, line: str) -> None:
        with self._lock:
            clear = _CLEAR if self._shown else ""
            again = self._shown if self._shown and not self._finished else ""
            self._stream.write(f"{clear}{line}\n{again}")
            self._stream.flush()

    def _run(self) -> None:
        every = TERMINAL_SECONDS if self._is_terminal else LOG_SECONDS
        while not self._ended.wait(every):
            if not self._finished:
                self.tell()


def total(ahead: Sequence[Step]) -> str:
    """How long a run will probably take, in words."""
    seconds = sum(step.seconds for step in ahead)
    return f"about {seconds / 60:.0f} minutes" if seconds >= 120 else f"about {seconds:.0f} s"


def _clock_face(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}:{rest:02}"
