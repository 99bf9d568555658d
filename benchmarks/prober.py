"""Health probes as an orchestrator sends them, each on a new connection; runs in a process of its own (`aside`)."""

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

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
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        status = response.status
    except OSError:
        status = 0
    finally:
        connection.close()
    return Probe(began, time.monotonic() - began, status)
