"""Watches a service for some seconds: looks at both ends, at its processes and its metrics, and at gauges between.

What lives here: the looks, and their order. What does not: what they mean (`profiling.usage`, `profiling.stages`).
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_loadgen import metrics
from topfive_pipeline.profiling import processes, readings
from topfive_pipeline.under_load import server

_EVERY: Final = 0.5
"""Seconds between two looks at the gauges: they cost a thousandth of a core."""
_NVIDIA: Final = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen. `gpu`: the mean share of time in which a GPU computed, None without one; `own_cpu` in cores."""

    first: readings.Reading
    last: readings.Reading
    change: metrics.Difference
    gauges: tuple[metrics.Reading, ...]
    gpu: float | None
    own_cpu: float


def watch(
    url: str,
    pid: int | None,
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    root: Path = readings.ROOT,
) -> Watched:
    """Watch the service at `url`, whose process is `pid`, or from outside only if that is None.

    Raises `ConfigurationError` if it does not tell its metrics.
    """
    pids = [] if pid is None else processes.tree(pid, proc=root / "proc")
    own = time.process_time()
    told, first = metrics_of(url), readings.read(pids, root=root)
    ends, gauges, gpus = first.at + seconds, [told], [gpu_share()]
    while (left := ends - time.monotonic()) > 0:
        sleep(min(_EVERY, left))
        gauges.append(_still(url))
        if gpus[0] is not None:
            gpus.append(gpu_share())
    last = readings.read(pids, root=root)
    known = [share for share in gpus[1:] or gpus if share is not None]
    return Watched(
        first,
        last,
        metrics.Difference(told, gauges[-1]),
        tuple(gauges[1:]),
        sum(known) / len(known) if known else None,
        (time.process_time() - own) / (last.at - first.at),
    )


def metrics_of(url: str) -> metrics.Reading:
    """The metrics of the service at `url`, now; raises `ConfigurationError` if it does not tell them."""
    try:
        return replace(server.metrics(url), at=time.monotonic())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"--url {url}: there are no metrics at /metrics ({error}); name a topfive that runs, as http://127.0.0.1:8000"
        ) from error


def _still(url: str) -> metrics.Reading:
    try:
        return metrics_of(url)
    except ConfigurationError as error:
        raise ConfigurationError(
            "the service ended, or answers no more, while it was watched; its log says why, and `topfive check` "
            "whether its models are right"
        ) from error


def gpu_share(*, which: Callable[[str], str | None] = shutil.which) -> float | None:
    """The share of time in which the busiest GPU computes, by nvidia-smi; None without one."""
    program = which("nvidia-smi")
    if program is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603  # NVIDIA's own program
            [program, *_NVIDIA], capture_output=True, text=True, timeout=_PATIENCE, check=True
        ).stdout
        return max((float(line) / 100 for line in said.split()), default=None)
    except (OSError, ValueError, subprocess.SubprocessError):  # a driver without a device says so in words
        return None
