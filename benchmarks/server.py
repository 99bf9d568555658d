"""The service to be measured: where it listens, and, if it was started here, its process.

What lives here: start, wait until ready, ask for state and metrics, read what the kernel knows of the process, stop.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import machine
from loadgen.asking import ask
from loadgen.http1 import render
from loadgen.metrics import Reading, parse

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 45.0
POLL_SECONDS = 0.01  # how often readiness is asked for, hence the resolution of `start_seconds`
LOG_TAIL = 4000

LISTENING = re.compile(rb"listening on http://\S+:(\d+)")
GRPC_LISTENING = re.compile(rb"gRPC listening on \S+:(\d+)")

Address = tuple[str, int]


class Endpoint:
    """A service somewhere, spoken to over HTTP only."""

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
        """All that it says in `/metrics`."""
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


class Service(Endpoint):
    """A process of our own on a free port, or on the one given; ready once constructed."""

    def __init__(self, repository: Path, *flags: str, backend: str = "embedded", port: int = 0) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="topfive-")  # noqa: SIM115 - lives as long as the process
        options = ["--port", str(port), "--backend", backend, "--model-repository", str(repository), *flags]
        if not any(flag.startswith("--grpc") for flag in flags):
            options.append("--no-grpc")  # its port would be the same for all
        command = (sys.executable, "-m", "topfive", *options)
        began = time.monotonic()
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._log, stderr=self._log)
        super().__init__("127.0.0.1", port)
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > began + START_SECONDS:
                self.close()
                raise SystemExit(f"the service did not get ready; the end of its log:\n{self.log()}")
            time.sleep(POLL_SECONDS)  # another process can only be asked again; finely, for its start is measured
        self.start_seconds = time.monotonic() - began

    @property
    def _family(self) -> list[int]:
        return machine.family(self.pid)

    @property
    def _told_apart(self) -> tuple[list[int], list[int]]:
        """Those that serve, and those that decode for them, which come and go."""
        family = self._family
        decoders = machine.decoders(family)
        return [pid for pid in family if pid not in decoders], decoders

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def grpc_address(self) -> Address:
        """Where gRPC is, if a flag asked for it."""
        found = GRPC_LISTENING.search(self.whole_log())
        assert found is not None, self.log()
        return self.host, int(found[1])

    def cpu_seconds(self) -> float:
        """CPU time so far, all threads and workers."""
        return machine.cpu_seconds(self._family)

    def resident_bytes(self) -> int:
        """Resident memory now, workers and what decodes for them included."""
        return machine.resident_bytes(self._family)

    def open_files(self) -> int:
        """File descriptors now, sockets and workers included; but for one to each process that decodes."""
        servers, decoders = self._told_apart
        return machine.open_files(servers) - len(decoders)

    def threads(self) -> int:
        """Threads now, workers included."""
        return machine.threads(self._told_apart[0])

    def log(self) -> str:
        """The last of what the service wrote."""
        return self.whole_log()[-LOG_TAIL:].decode(errors="replace")

    def whole_log(self) -> bytes:
        """All that the service wrote."""
        if self._log.closed:
            return self._last_log
        return Path(self._log.name).read_bytes()  # opened anew: the process writes where its own position is

    def signal(self, number: signal.Signals) -> None:
        """Send it to the process and its workers."""
        for pid in self._family:
            with suppress(ProcessLookupError):  # one that decoded has just been ended
                os.kill(pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def close(self) -> int:
        """Ask it to end, and make sure that it has; the exit code."""
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
    """A port that nobody listens on now, for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
