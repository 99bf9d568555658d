"""The HEALTHCHECK of the images as Docker runs it: a process, with the environment of the service."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.server import free_port
from tests.http.server.test_tls import make_pair
from tests.testkit.serving_process import READY, ROOT, ServingProcess

DRAINING = "the service is draining"


def healthcheck(*arguments: str, **environment: object) -> tuple[int, str]:
    """Its exit code, and what it says."""
    command = [sys.executable, "-I", "-S", "deploy/healthcheck.py", *arguments]
    settings = {f"TOPFIVE_{name.upper()}": str(value) for name, value in environment.items()}
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_service_that_is_ready_is_healthy_whatever_address_it_listens_on(service: ServingProcess) -> None:
    for host in ("0.0.0.0", "127.0.0.1", "localhost"):
        assert healthcheck(host=host, port=service.port) == (0, "")


def test_a_service_that_drains_is_alive_but_not_healthy_and_it_says_why() -> None:
    with ServingProcess("--backend", "null", "--drain-grace-seconds", "100") as process:
        process.wait_for_log(READY)
        process.signal(signal.SIGTERM)
        process.wait_for_log(DRAINING)
        code, said = healthcheck(port=process.port)
        assert (code, said[:4]) == (1, "503 ")
        assert "not_ready" in said
        assert healthcheck("live", port=process.port) == (0, "")


def test_where_nothing_listens_nothing_is_healthy() -> None:
    port = free_port()
    code, said = healthcheck(port=port)
    assert code == 1
    assert f"127.0.0.1:{port}" in said
    assert "ConnectionRefusedError" in said


def test_over_tls_it_asks_over_tls_whatever_name_the_certificate_is_for(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, "service")
    with ServingProcess("--backend", "null", *pair.flags) as process:
        process.wait_for_log(READY)
        told = {"host": "localhost", "port": process.port, "tls_certificate_file": pair.certificate}
        assert healthcheck(**told) == (0, "")
        assert healthcheck(port=process.port)[0] == 1
