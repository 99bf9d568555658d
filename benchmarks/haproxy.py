"""Runs Debian's HAProxy as a process, with the deployed configuration, `deploy/haproxy.cfg`, and reads its log."""

import json
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchmarks import proxies
from benchmarks.proxies import HOST, Exchange
from benchmarks.server import ROOT, Address

PROGRAM, PACKAGE = "haproxy", "haproxy"
DEPLOYED = ROOT / "deploy" / "haproxy.cfg"
_BUFFER = re.compile(r"(?m)^ *tune\.bufsize (\d+)$")
_BESIDE = 16 << 10
"""Bytes of its buffer that HAProxy needs for itself, or for headers that it adds: less than that."""


class HAProxy(proxies.Proxy):
    """A running HAProxy on `port`, with its files in `folder`."""

    def __init__(self, folder: Path, *, configuration: str, port: int) -> None:
        file = folder / "haproxy.cfg"
        file.write_text(configuration)
        super().__init__(folder, PROGRAM, "-db", "-f", str(file), port=port)

    @classmethod
    def before(cls, folder: Path, *, replicas: Sequence[Address], port: int, deployed: str | None = None) -> Self:
        """The deployed file, or the text given for it, before these replicas."""
        text = with_addresses(deployed or DEPLOYED.read_text(), replicas=replicas, port=port)
        return cls(folder, configuration=text, port=port)

    @classmethod
    def sent_again(cls) -> float:
        (nbytes,) = _BUFFER.findall(DEPLOYED.read_text())
        return int(nbytes) - _BESIDE

    def ask_to_end(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def exchanges(self) -> list[Exchange]:
        return [read(line) for line in self.output() if line.startswith("{")]

    def errors(self) -> str:
        return "\n".join(line for line in self.output() if not line.startswith("{"))


def with_addresses(text: str, *, replicas: Sequence[Address], port: int) -> str:
    """The deployed text before these replicas."""
    return proxies.with_addresses(DEPLOYED, text, replicas=replicas, listen=("bind :8080", f"bind {HOST}:{port}"))


def read(line: str) -> Exchange:
    """One line of the log, which names only the last replica that was tried."""
    found = json.loads(line)
    upstream = [found["upstream"]] if found["upstream"].strip("-:") else []
    failed = [""] * int(str(found["retries"]).lstrip("+"))  # with "+": and then sent to another one
    return Exchange(found["ended"] / 1e3, found["total_milliseconds"] / 1e3, found["status"], [*failed, *upstream])
