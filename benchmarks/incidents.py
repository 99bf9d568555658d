"""What happens to replicas behind a proxy, one incident after the other, and what becomes of requests meanwhile.

The scenarios are at the end. Each ends with all replicas there again, so that the proxy is also seen to use them again.
"""

import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import proxies
from benchmarks.namespaces import Network
from benchmarks.proxies import Exchange
from benchmarks.server import Address, Service
from topfive_loadgen.plan import Done


class Replicas:
    """Services that keep their addresses over restarts, on machines of their own where there is a network."""

    def __init__(self, repository: Path, flags: Sequence[str], *, count: int, network: Network | None) -> None:
        self.network = network
        self._repository = repository
        self._flags = flags
        with ExitStack() as undo:
            self.running: list[Service] = []
            undo.callback(self.close)
            for number in range(count):
                self.running.append(self._start(number, network.address(number) if network else ("127.0.0.1", 0)))
            undo.pop_all()

    @property
    def addresses(self) -> list[Address]:
        return [service.address for service in self.running]

    def end(self, number: int) -> int:
        """Send SIGTERM, and wait for the end; return the exit code."""
        return self.running[number].close()

    def kill(self, number: int) -> int:
        """End the process and its helpers at once, as the kernel does when memory runs out."""
        self.running[number].signal(signal.SIGKILL)
        return self.running[number].close()

    def start(self, number: int) -> None:
        """Start it again where it was, and wait until it is ready."""
        self.running[number] = self._start(number, self.running[number].address)

    def close(self) -> list[int]:
        """Stop all replicas; return their exit codes. A second signal makes them skip the drain grace."""
        for service in self.running:
            service.terminate()
        return [service.close() for service in self.running]

    def _start(self, number: int, address: Address) -> Service:
        inside = self.network.inside(number) if self.network else ()
        host, port = address
        return Service(self._repository, *self._flags, host=host, port=port, inside=inside)


Step = Callable[[Replicas, int], int | None]
"""Does something to a replica; returns the exit code if its process ended."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a replica is lost and comes back. `all_of_them`: one after the other, or only the first."""

    lose: Step
    bring_back: Step
    all_of_them: bool = False
    away: bool = True
    """Whether there is load while it is away; else it comes back as soon as it can."""
    code: int = 0
    """The exit code of what ends during the incident."""
    needs_network: bool = False


def _hang(replicas: Replicas, number: int) -> None:
    replicas.running[number].signal(signal.SIGSTOP)


def _go_on(replicas: Replicas, number: int) -> None:
    replicas.running[number].signal(signal.SIGCONT)


def _unplug(replicas: Replicas, number: int) -> None:
    assert replicas.network is not None
    replicas.network.unplug(number)


def _plug(replicas: Replicas, number: int) -> None:
    assert replicas.network is not None
    replicas.network.plug(number)


SCENARIOS: Mapping[str, Scenario] = {
    "rolling": Scenario(Replicas.end, Replicas.start, all_of_them=True, away=False),
    "drain": Scenario(Replicas.end, Replicas.start),
    "killed": Scenario(Replicas.kill, Replicas.start, code=-signal.SIGKILL),
    "unplugged": Scenario(_unplug, _plug, needs_network=True),
    "hung": Scenario(_hang, _go_on),
}


@dataclass(frozen=True, slots=True)
class Incident:
    """What befell one replica. By `time.monotonic`: when it was lost, was gone, began to come back, was back."""

    replica: int
    address: Address
    lost: float
    gone: float
    returning: float
    back: float
    code: int | None
    wanted_code: int

    @property
    def ended_badly(self) -> bool:
        return self.code is not None and self.code != self.wanted_code


def happen(scenario: Scenario, replicas: Replicas, *, pause_seconds: float, away_seconds: float) -> list[Incident]:
    """Let it happen, with pauses before, between and after."""
    incidents = []
    for number in range(len(replicas.running) if scenario.all_of_them else 1):
        time.sleep(pause_seconds)  # load in between is part of the run
        lost = time.monotonic()
        code = scenario.lose(replicas, number)
        gone = time.monotonic()
        time.sleep(away_seconds if scenario.away else 0)  # load while it is away is part of the run
        returning = time.monotonic()
        scenario.bring_back(replicas, number)
        address = replicas.running[number].address
        incidents.append(Incident(number, address, lost, gone, returning, time.monotonic(), code, scenario.code))
    time.sleep(pause_seconds)  # and after the last
    return incidents


@dataclass(frozen=True, slots=True)
class Effect:
    """What an incident did to requests. Times in seconds from the loss; None: it was not used again."""

    replica: int
    away_seconds: float
    slowest_seconds: float
    retried: int
    last_tried_seconds: float
    used_again_seconds: float | None

    def __str__(self) -> str:
        again = (
            "not used again" if self.used_again_seconds is None else f"used again {self.used_again_seconds:.1f} s later"
        )
        return (
            f"replica {self.replica + 1} was away for {self.away_seconds:.1f} s: the slowest answer took "
            f"{self.slowest_seconds:.2f} s, {self.retried} were tried again, the last request tried it "
            f"{self.last_tried_seconds:.1f} s after it was lost; back, {again}"
        )


def effect(incident: Incident, run: Done, exchanges: Sequence[Exchange], *, epoch: float) -> Effect:
    """What it did; `epoch` is what is added to `time.monotonic` for the time of the log."""
    slow = [
        one.latency
        for one in run.samples
        if run.began + one.done >= incident.lost and run.began + one.scheduled < incident.back
    ]
    during = [one for one in exchanges if one.ended >= incident.lost + epoch and one.began < incident.back + epoch]
    last = proxies.last_use(exchanges, incident.address, since=incident.lost + epoch, until=incident.returning + epoch)
    back = incident.back + epoch
    name = f"{incident.address[0]}:{incident.address[1]}"
    after = [one.began for one in exchanges if one.began >= back and one.tried and one.tried[-1] == name]
    return Effect(
        replica=incident.replica,
        away_seconds=incident.back - incident.lost,
        slowest_seconds=max(slow, default=math.nan),
        retried=proxies.retried(during),
        last_tried_seconds=last - incident.lost - epoch,
        used_again_seconds=min(after) - back if after else None,
    )
