"""Tritonserver's process: starts it, waits until it is ready, stops or hangs it, and reads its statistics."""

import json
import os
import random
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

from benchmarks import machine
from benchmarks.server import LOG_TAIL, POLL_SECONDS, START_SECONDS, Endpoint
from benchmarks.tritonserver.parts import Parts

LOOPBACK = "127.0.0.1"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where the Python backend has its regions, not a temporary file
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 10_000


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a server, which stay the same after a restart."""

    http: int
    grpc: int
    metrics: int

    @classmethod
    def free(cls) -> "Ports":
        """Three free ports that the system gives to no outgoing connection while the server is down."""
        end = int(EPHEMERAL.read_text().split()[0])
        found: set[int] = set()
        while len(found) < 3:
            port = random.randrange(LOWEST_PORT, end)
            if _is_free(port):
                found.add(port)
        return cls(*found)


class Tritonserver(Endpoint):
    """A server of the models in `repository`, with its files in `folder`; ready once constructed.

    It is a process group: the server, and a process for each instance of a model.
    """

    def __init__(self, folder: Path, repository: Path, *flags: str, ports: Ports | None = None) -> None:
        self.ports = ports or Ports.free()
        super().__init__(LOOPBACK, self.ports.http)
        self._folder = folder
        self._parts = Parts.find()
        self._parts.make_backends(folder / "backends")  # makes the folder, too
        self._regions = f"tritonserver-{os.getpid()}-{self.ports.http}-"
        self._command = (str(self._parts.server), *self._options(repository), *flags)
        self.start()

    @property
    def url(self) -> str:
        """The `host:port` of its gRPC, for the setting `triton_url`."""
        return f"{LOOPBACK}:{self.ports.grpc}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start the server, also again after `kill`, on the same ports; return when it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._parts.environment(), stdout=log, stderr=log, process_group=0
            )
        end = time.monotonic() + START_SECONDS
        while self.get("/v2/health/ready")[0] != 200:
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise SystemExit(f"tritonserver did not get ready; the end of its log:\n{self.log()}")
            time.sleep(POLL_SECONDS)  # polling another process

    def signal(self, number: Signals) -> None:
        """Send a signal to the server and its models' processes: SIGSTOP makes it hang, SIGCONT go on."""
        os.killpg(self.pid, number)

    def signal_model(self, number: Signals, model: str) -> None:
        """Send a signal only to the processes of `model`, so that its requests wait in the server's queue."""
        named = re.compile(rf"\0{re.escape(model)}_\d+(_\d+)?\0".encode())  # the instance's name, an argument
        for pid in machine.family(self.pid):
            if named.search(Path(f"/proc/{pid}/cmdline").read_bytes()):
                os.kill(pid, number)

    def kill(self) -> None:
        """Kill the server at once, as the kernel does when memory runs out."""
        if self._process.returncode is None:  # not reaped yet, so its process id is still valid
            self.signal(SIGKILL)
            self._process.wait()
        for region in SHARED_MEMORY.glob(f"{self._regions}*"):
            region.unlink()

    def close(self) -> None:
        """End the server without waiting for answers."""
        self.kill()

    def model_statistics(self, model: str) -> dict[str, Any]:
        """The server's statistics of a model: images, executions, their sizes."""
        status, body = self.get(f"/v2/models/{model}/stats")
        if status != 200:
            raise SystemExit(f"no statistics of {model}: {status} {body}")
        (found,) = json.loads(body)["model_stats"]
        return dict(found)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry `labels`, of its own metrics."""
        return Endpoint(LOOPBACK, self.ports.metrics).metric(name, **labels)

    def cpu_seconds(self) -> float:
        """CPU time so far, all processes and threads."""
        return machine.cpu_seconds(machine.family(self.pid))

    def resident_bytes(self) -> int:
        """Resident memory now, all processes."""
        return machine.resident_bytes(machine.family(self.pid))

    def log(self) -> str:
        """The end of the server's log."""
        return self._log.read_bytes()[-LOG_TAIL:].decode(errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / "tritonserver.log"

    def _options(self, repository: Path) -> list[str]:
        named = {
            "model-repository": repository,
            "backend-directory": self._folder / "backends",
            "http-address": LOOPBACK,
            "http-port": self.ports.http,
            "grpc-address": LOOPBACK,
            "grpc-port": self.ports.grpc,
            "metrics-port": self.ports.metrics,
            "allow-gpu-metrics": "false",
            # A prefix for shared memory, so that the remains of a killed server can be found.
            "backend-config": f"python,shm-region-prefix-name={self._regions}",
        }
        return [f"--{name}={value}" for name, value in named.items()]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
