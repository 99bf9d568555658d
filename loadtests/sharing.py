"""Whether the generator and the server under test share cores, so that each takes the other's CPU.

The address says whether it is this machine; the process that listens there, where it can be seen, says on which cores
it may run, and under which quota of a control group.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from loadtests.results import Run, Sharing

_PORTS: Final = {"http": 80, "https": 443}
_NOTE: Final = "so each takes CPU from the other: believe ratios of such runs, not their absolute figures"


def find(url: str, *, pid: int | None = None) -> Sharing:
    """Compare this process with the server at `url`. `pid`: its process, where that is known."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if pid is None and not is_here(_addresses(host)):
        return _elsewhere(host)
    server = pid or listener(parts.port or _PORTS.get(parts.scheme, 0))
    ours, theirs = cores_of(None), cores_of(server)
    if server is None or theirs is None or ours is None:
        some = f" {len(ours)}" if ours else ""
        return Sharing(
            cores=len(ours) if ours else None,
            told=f"generator and server share this machine ({host}) and, as far as is seen, its{some} cores, {_NOTE}",
        )
    return compared(ours, theirs, quota=_shared_quota(server), where=f"{host}, process {server}")


def compared(ours: frozenset[int], theirs: frozenset[int], *, quota: bool, where: str) -> Sharing:
    """What two sets of cores on this machine have in common."""
    common = ours & theirs
    if not common:
        return Sharing(
            cores=0,
            told=f"generator and server run on this machine ({where}), on cores of their own: "
            f"{_listed(ours)} and {_listed(theirs)}; memory and caches are shared",
        )
    under = ", and the quota of one control group" if quota else ""
    word = "core" if len(common) == 1 else "cores"
    return Sharing(
        cores=len(common),
        told=f"generator and server share {len(common)} {word} of this machine ({where}){under}, {_NOTE}",
    )


def with_share(found: Sharing, run: Run) -> Sharing:
    """The same, with the generator's share of the CPU time that both used while something was measured."""
    loops = [*run.open, *(probe for capacity in run.capacities for probe in capacity.probes)]
    used = [
        *(
            (cell.generator_cores, cell.server, sum(window.seconds for window in cell.windows[-cell.agreed :]))
            for cell in run.closed
        ),
        *((one.generator_cores, one.server, one.seconds) for one in loops),
    ]
    known = [
        (cores * seconds, server.cpu_cores * seconds)
        for cores, server, seconds in used
        if cores is not None and server is not None and server.cpu_cores is not None
    ]
    both = sum(own + server for own, server in known)
    return replace(found, share=sum(own for own, _ in known) / both) if both else found


def is_here(addresses: Iterable[str]) -> bool:
    """Whether one of these is an address of this machine, as far as this process can see it."""
    own = {one.address.partition("%")[0] for card in psutil.net_if_addrs().values() for one in card}
    return any(address in own or ip_address(address).is_loopback for address in addresses)


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine; None if it cannot be seen."""
    try:
        lines = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # on macOS, where only root may
        return None
    return next(
        (one.pid for one in lines if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port), None
    )


def cores_of(pid: int | None) -> frozenset[int] | None:
    """The cores on which a process (default: this one) may run; None where that cannot be known."""
    try:
        return frozenset(psutil.Process(pid).cpu_affinity() or ())
    except (psutil.Error, AttributeError):  # there is no affinity on macOS
        return None


def _addresses(host: str) -> list[str]:
    try:
        return [str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)]
    except OSError:
        return []


def _elsewhere(host: str) -> Sharing:
    if any(ip_address(address).is_private for address in _addresses(host)):
        return Sharing(
            cores=None,
            told=f"{host} is not this machine by its address; another container on this machine would look the same, "
            "and would share its cores",
        )
    return Sharing(cores=0, told=f"{host} is another machine than the generator's")


def _shared_quota(pid: int) -> bool:
    """Whether both are in one control group, whose quota they then share."""
    try:
        ours, theirs = (Path(f"/proc/{one}/cgroup").read_text() for one in ("self", str(pid)))
    except OSError:
        return False
    return ours == theirs and ours.strip() not in {"", "0::/"}


def _listed(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
