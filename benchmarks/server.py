"""The service as a process: start, wait until ready, read its metrics, its CPU time and its memory, stop."""

import http.client
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks import machine

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.01  # how often readiness is asked for, hence the resolution of `start_seconds`

SAMPLE = re.compile(r"^(topfive_\w+_(?:sum|count))(?:\{(.*)\})? (\S+)", re.MULTILINE)
STAGE = re.compile(r'stage="(\w+)"')


class Service:
    """A running service on a port of its own, ready once constructed."""

    def __init__(self, repository: Path, *, backend: str = "embedded") -> None:
        self.port = _free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        options = ("--port", str(self.port), "--no-grpc", "--backend", backend, "--model-repository", str(repository))
        command = (sys.executable, "-m", "service", *options)
        began = time.monotonic()
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._log, stderr=self._log)
        while self._get("/v2/health/ready")[0] != 200:
            if self._process.poll() is not None or time.monotonic() > began + START_SECONDS:
                self.close()
                raise SystemExit(f"the service did not get ready; the end of its log:\n{self.log()}")
            time.sleep(POLL_SECONDS)  # another process can only be asked again; finely, for its start is measured
        self.start_seconds = time.monotonic() - began
        self._family = machine.family(self._process.pid)

    def cpu_seconds(self) -> float:
        """CPU time so far, all threads and workers."""
        return machine.cpu_seconds(self._family)

    def resident_bytes(self) -> int:
        """Resident memory now, workers included."""
        return machine.resident_bytes(self._family)

    def metrics(self) -> dict[str, float]:
        """What its histograms have summed and counted so far; see `totals`."""
        return totals(self._get("/metrics")[1])

    def log(self) -> str:
        """The last of what the service wrote."""
        self._log.seek(0)
        return self._log.read()[-4000:].decode(errors="replace")

    def close(self) -> None:
        """Ask it to end, and make sure that it has."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionError:
            return 0, ""
        finally:
            connection.close()


def totals(metrics: str) -> dict[str, float]:
    """Sums and counts in Prometheus text, over all models, but one for each stage: `…_seconds_sum queue`."""
    sums: dict[str, float] = {}
    for name, labels, value in SAMPLE.findall(metrics):
        key = " ".join([name, *STAGE.findall(labels)])
        sums[key] = sums.get(key, 0.0) + float(value)
    return sums


def means(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """For each histogram that observed something between two readings, the mean of it: `…_seconds queue`."""
    found = {}
    for key in after:
        count = after[key] - before.get(key, 0.0)
        if "_count" in key and count:
            sum_key = key.replace("_count", "_sum")
            found[key.replace("_count", "")] = (after[sum_key] - before.get(sum_key, 0.0)) / count
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
