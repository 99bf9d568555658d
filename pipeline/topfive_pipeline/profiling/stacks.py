"""What Python does, by sampling: stacks as py-spy collects them, and what they say of functions.

What lives here: running py-spy, and reading what it writes. What does not: drawing (`profiling.flame`).

py-spy reads the memory of the process from outside, so the service needs nothing for it. It takes a thread for running
by what the kernel says of it at that moment, and is wrong at times: leaves that only wait are left out here by name.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

INSTALL: Final = "py-spy is not installed: pip install 'topfive[profile]', and there will be a flame graph"
_RATE: Final = 100
_GRACE: Final = 30.0
_WAITS: Final = ("WorkerPool._work ", "QueuedFile._run ", "_worker (concurrent", "Condition.wait ", "Queue.get ")
"""Leaves below which Python only waits for work."""
_REFUSED: Final = re.compile(r"[Pp]ermission|[Oo]peration not permitted")
LOOP_THREAD: Final = "MainThread"


@dataclass(frozen=True, slots=True)
class Stacks:
    """How often each stack was seen, `thread;outer;…;leaf`; or `why` there are none."""

    counts: Mapping[str, int]
    seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """How often a function was the one that ran (`own`), or somewhere on the stack (`total`); shares of its thread."""

    name: str
    own: float
    total: float


def record(pid: int, *, seconds: float, which: Callable[[str], str | None] | None = None) -> Stacks:
    """Sample the process `pid` for `seconds`, 100 times a second; without py-spy, or the right to, say why not."""
    program = (which or _program)("py-spy")
    if program is None:
        return Stacks({}, seconds, INSTALL)
    with TemporaryDirectory(prefix="topfive-profile-") as folder:
        file = Path(folder) / "stacks"
        command = [program, "record", "--pid", str(pid), "--format", "raw", "--output", str(file)]
        command += ["--duration", f"{max(1, round(seconds))}", "--rate", str(_RATE), "--threads", "--function"]
        try:
            done = subprocess.run(  # noqa: S603  # the program that was found, and numbers
                command, capture_output=True, text=True, timeout=seconds + _GRACE, stdin=subprocess.DEVNULL, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Stacks({}, seconds, f"py-spy did not run: {error}")
        if done.returncode or not file.is_file():
            return Stacks({}, seconds, _why(done.stderr + done.stdout))
        return Stacks(parsed(file.read_text(encoding="utf-8", errors="replace")), seconds)


def thread_names(pids: Iterable[int], *, which: Callable[[str], str | None] | None = None) -> dict[int, str]:
    """The names that Python has for the threads of these processes, by the kernel's ids; without py-spy none."""
    program = (which or _program)("py-spy")
    found: dict[int, str] = {}
    for pid in pids if program is not None else ():
        try:
            done = subprocess.run(  # noqa: S603  # the program that was found, and a number
                [str(program), "dump", "--json", "--pid", str(pid)],
                capture_output=True,
                text=True,
                timeout=_GRACE,
                stdin=subprocess.DEVNULL,
                check=True,
            )
            found |= {each["os_thread_id"]: each["thread_name"] or "" for each in json.loads(done.stdout)}
        except (OSError, subprocess.SubprocessError, ValueError, KeyError):
            continue  # it has ended, or may not be read: `record` says why
    return found


def _program(name: str) -> str | None:
    """Beside the Python that runs, or on the path."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


def _why(said: str) -> str:
    if _REFUSED.search(said):
        return (
            "py-spy may not read the service's memory: run this command as root; in Docker with --cap-add SYS_PTRACE; "
            "or allow it (sysctl kernel.yama.ptrace_scope=0), for as long as you measure"
        )
    return f"py-spy could not record: {' '.join(said.split())[-300:] or 'it said nothing'}"


def parsed(text: str) -> dict[str, int]:
    """Stacks with their counts, without those that only wait for work."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if count.isdigit() and stack and not stack.rpartition(";")[2].startswith(_WAITS):
            found[stack] += int(count)
    return dict(found)


def of_loop(counts: Mapping[str, int]) -> dict[str, int]:
    """The stacks of the thread that runs the event loop."""
    return {stack: count for stack, count in counts.items() if stack.partition(";")[0].endswith(f": {LOOP_THREAD}")}


def functions(counts: Mapping[str, int]) -> list[Function]:
    """The functions of these stacks, those that ran most by themselves first."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, count in counts.items():
        frames = stack.split(";")[1:]
        if not frames:
            continue
        own[frames[-1]] += count
        for frame in set(frames):  # a recursive function counts once
            total[frame] += count
    everything = sum(own.values()) or 1
    found = [Function(name, own[name] / everything, total[name] / everything) for name in total]
    return sorted(found, key=lambda each: (-each.own, -each.total, each.name))
