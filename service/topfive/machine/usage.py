"""The processor time and memory that this process uses, as the kernel counts them."""

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
    """The usage of this process now. `statm` is Linux' file about its memory: the second number is resident pages."""
    if statm.is_file():
        resident = int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    else:  # macOS reports only the largest ever, in bytes
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Usage(time.process_time(), resident)
