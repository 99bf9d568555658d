"""What a model takes: its size on disk, how long it loads, and the memory by which a process grows that loads it.

It is loaded by a process of its own (`judging.loading`), three times: what one process has loaded, another load in it
finds warm.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import astuple, dataclass
from statistics import median
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import loading
from topfive_pipeline.judging.sessions import openings
from topfive_pipeline.judging.subjects import Subject

LOADS: Final = 3
_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of the graphs and sessions of one model, as the server opens them; medians of several loads.

    `size_bytes`: the files. `load_seconds`: to open all sessions. `memory_bytes`: by which the process grows until it
    has answered one image. `image_bytes`: by which it grows for each further image of a batch.
    """

    size_bytes: int
    load_seconds: float
    memory_bytes: float
    image_bytes: float


def footprint_of(subject: Subject, *, cores: int, loads: int = LOADS) -> Footprint:
    """Load `subject` in processes of their own; raises `ConfigurationError` with what they said if they cannot."""
    wanted = json.dumps([astuple(each) for each in openings(subject, cores=cores)])
    found = [_load(subject, wanted) for _ in range(loads)]
    return Footprint(
        size_bytes=sum(part.size_bytes for part in subject.parts),
        load_seconds=median(each.seconds for each in found),
        memory_bytes=median(each.memory_bytes for each in found),
        image_bytes=median(each.image_bytes for each in found),
    )


def _load(subject: Subject, wanted: str) -> loading.Loaded:
    command = [sys.executable, "-m", loading.__name__, wanted]
    try:
        done = subprocess.run(  # noqa: S603  # a module of ours
            command, check=False, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"{subject.title} does not load within {_SECONDS:.0f} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise ConfigurationError(f"{subject.title} cannot be loaded by a process of its own: {said[-1]}")
    return loading.Loaded(**json.loads(done.stdout))
