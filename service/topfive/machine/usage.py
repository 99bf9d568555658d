"""What this process has used of the machine, as the kernel counts it."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time since the start, of all threads, and memory in use."""

    cpu_seconds: float
    resident_bytes: int


def read_usage(statm: Path = _STATM) -> Usage:
    """Of this process, now. `statm` is Linux' file of its memory, in pages, of which the second number is resident."""
    if statm.is_file():
        resident = int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    else:  # macOS tells only the most there ever was, and in bytes
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Usage(time.process_time(), resident)
