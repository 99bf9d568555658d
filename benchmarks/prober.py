"""Health probes as an orchestrator sends them, each on a new connection; runs in a process of its own (`aside`)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from loadgen.asking import ask
from loadgen.http1 import render

PATHS = ("/v2/health/live", "/v2/health/ready")
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe: when it began, on the clock of `time.monotonic`, how long it took, and its status; 0 for none."""

    began: float
    seconds: float
    status: int


def run(*, address: tuple[str, int], every_seconds: float, stop: Connection) -> Sequence[Probe]:
    """Probe liveness and readiness in turn until `stop` can be read."""
    probes: list[Probe] = []
    while not stop.poll(every_seconds):
        probes.append(probe(address, PATHS[len(probes) % len(PATHS)]))
    stop.recv()
    return probes


def probe(address: tuple[str, int], path: str) -> Probe:
    """One of them."""
    began = time.monotonic()
    try:
        status = ask(address, render("GET", path), patience_seconds=TIMEOUT_SECONDS).status
    except OSError:
        status = 0
    return Probe(began, time.monotonic() - began, status)
