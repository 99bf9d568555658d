"""How many cores this process may use: the affinity mask, cut by the container's CPU quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota_file: Path = _QUOTA_FILE) -> int:
    """At least 1. `quota_file` is cgroup v2's `cpu.max`: quota and period in microseconds, or `max`."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not quota_file.is_file():
        return allowed
    quota, period = quota_file.read_text(encoding="ascii").split()
    return allowed if quota == "max" else max(1, min(allowed, math.ceil(int(quota) / int(period))))
