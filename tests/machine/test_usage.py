"""What a process uses is what the kernel says of it, and it grows with what is done."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from topfive.machine.usage import read_usage

PROCESS = psutil.Process(os.getpid())
MIB = 1 << 20


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="this system tells no memory in /proc")
def test_memory_is_what_is_resident_now() -> None:
    """It grows with pages that are written to; another reader of the kernel's figures agrees."""
    before = read_usage().resident_bytes
    pages = np.ones(64 * MIB, np.uint8)
    after = read_usage().resident_bytes
    assert after - before >= 60 * MIB
    assert after == pytest.approx(PROCESS.memory_info().rss, abs=8 * MIB)
    assert pages.nbytes == 64 * MIB


def test_without_proc_it_is_the_most_there_was(tmp_path: Path) -> None:
    assert read_usage(tmp_path / "absent").resident_bytes == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_processor_time_is_that_of_all_threads_since_the_start() -> None:
    before = read_usage().cpu_seconds
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = read_usage().cpu_seconds
    assert after - before >= 0.05
    times = PROCESS.cpu_times()
    assert after == pytest.approx(times.user + times.system, abs=0.1)
