"""Sends health probes as an orchestrator does, each on a new connection. It runs in a separate process (`aside`)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from topfive_loadgen.asking import ask
from topfive_loadgen.http1 import render

PATHS = ("/v2/health/live", "/v2/health/ready")
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe: when it began (`time.monotonic`), how long it took, and its status (0 without an answer)."""

    began: float
    seconds: float
    status: int


def run(*, address: tuple[str, int], every_seconds: float, stop: Connection) -> Sequence[Probe]:
    """Probe liveness and readiness in turn until `stop` is readable."""
    probes: list[Probe] = []
    while not stop.poll(every_seconds):
        probes.append(probe(address, PATHS[len(probes) % len(PATHS)]))
    stop.recv()
    return probes


def probe(address: tuple[str, int], path: str) -> Probe:
    """Send one probe."""
    began = time.monotonic()
    try:
        status = ask(address, render("GET", path), patience_seconds=TIMEOUT_SECONDS).status
    except OSError:
        status = 0
    return Probe(began, time.monotonic() - began, status)
