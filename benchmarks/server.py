"""The service under test: its address, and, if it was started here, its process.

It starts the process, waits until it is ready, reads its metrics and the kernel's figures, and stops it.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from benchmarks import machine
from topfive_loadgen.asking import ask
from topfive_loadgen.http1 import render
from topfive_loadgen.metrics import Reading, parse

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 45.0
POLL_SECONDS = 0.01  # between two probes of readiness; this is the resolution of `start_seconds`
LOG_TAIL = 4000

LISTENING = re.compile(rb"listening on http://\S+:(\d+)")
GRPC_LISTENING = re.compile(rb"gRPC listening on \S+:(\d+)")

Address = tuple[str, int]


class Endpoint:
    """A service at an address, used over HTTP only."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    @classmethod
    def at(cls, url: str) -> "Endpoint":
        """The service at `http://host:port`."""
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None or parts.path.strip("/"):
            raise SystemExit(f"{url}: give the service as http://host:port")
        return cls(parts.hostname, parts.port or 80)

    @property
    def address(self) -> Address:
        return self.host, self.port

    @property
    def http_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def metrics(self) -> Reading:
        """All metrics at `/metrics`."""
        return parse(self.get("/metrics")[1])

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry `labels`."""
        return self.metrics().sum(name, **labels) or 0.0

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; 0 and nothing from one that does not listen."""
        return self.request("GET", path)

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
        """Status and body; 0 and nothing from one that does not listen."""
        try:
            answer = ask(self.address, render(method, path, body), patience_seconds=START_SECONDS)
        except ConnectionError:
            return 0, ""
        return answer.status, answer.body.decode()


class Process(Protocol):
    """The process of a service."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


def start(options: Sequence[str], inside: Sequence[str], log: IO[bytes]) -> Process:
    """A service that starts, and writes its log there; `inside` as `Service` has it."""
    command = (*inside, sys.executable, "-m", "topfive", *options)
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


class Service(Endpoint):
    """A service as a child process, on a free port or the given one; ready once constructed."""

    def __init__(
        self,
        repository: Path,
        *flags: str,
        backend: str = "embedded",
        host: str = "127.0.0.1",
        port: int = 0,
        inside: Sequence[str] = (),
        within_seconds: float = START_SECONDS,
    ) -> None:
        """`inside`: a command that runs the rest of its arguments in a network that has the address `host`."""
        self._log = tempfile.NamedTemporaryFile(prefix="topfive-")  # noqa: SIM115 - lives as long as the process
        options = [
            "--host",
            host,
            "--port",
            str(port),
            "--backend",
            backend,
            "--model-repository",
            str(repository),
            *flags,
        ]
        if not any(flag.startswith("--grpc") for flag in flags):
            options.append("--no-grpc")  # its default port would be the same for all services
        began = time.monotonic()
        self._process = start(options, inside, self._log)
        super().__init__(host, port)
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > began + within_seconds:
                self.close()
                raise SystemExit(f"the service did not get ready; the end of its log:\n{self.log()}")
            time.sleep(POLL_SECONDS)  # polling another process; often, because its start is measured
        self.start_seconds = time.monotonic() - began

    @property
    def _family(self) -> list[int]:
        return machine.family(self.pid)

    @property
    def _told_apart(self) -> tuple[list[int], list[int]]:
        """The processes that serve, and those that decode for them, which start and end on demand."""
        family = self._family
        decoders = machine.decoders(family)
        return [pid for pid in family if pid not in decoders], decoders

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def grpc_address(self) -> Address:
        """The address of gRPC, if a flag asked for it."""
        found = GRPC_LISTENING.search(self.whole_log())
        assert found is not None, self.log()
        return self.host, int(found[1])

    def cpu_seconds(self) -> float:
        """CPU time of all processes so far."""
        return machine.cpu_seconds(self._family)

    def resident_bytes(self) -> int:
        """Resident memory now, of all processes, including those that decode."""
        return machine.resident_bytes(self._family)

    def open_files(self) -> int:
        """File descriptors now of the serving processes, except one for each process that decodes."""
        servers, decoders = self._told_apart
        return machine.open_files(servers) - len(decoders)

    def threads(self) -> int:
        """Threads now, of all serving processes."""
        return machine.threads(self._told_apart[0])

    def log(self) -> str:
        """The end of the service's log."""
        return self.whole_log()[-LOG_TAIL:].decode(errors="replace")

    def whole_log(self) -> bytes:
        """The whole log of the service."""
        if self._log.closed:
            return self._last_log
        return Path(
            self._log.name
        ).read_bytes()  # a second open file, so that the process's write position is not moved

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its worker processes."""
        for pid in self._family:
            with suppress(ProcessLookupError):  # a process that decoded has just ended
                os.kill(pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def close(self) -> int:
        """Ask the service to end, and kill it if it does not; return the exit code."""
        self.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._last_log = self.whole_log()
        self._log.close()
        return code

    def _is_ready(self) -> bool:
        if not self.port:
            found = LISTENING.search(self.whole_log())
            self.port = int(found[1]) if found else 0
        return bool(self.port) and self.get("/v2/health/ready")[0] == 200


def free_port() -> int:
    """A port that is free now, for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
