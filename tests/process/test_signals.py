"""What each signal means to a running service, with a terminal and without; and that no worker is left behind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest

from tests.testkit.serving_process import READY, ROOT, ServingProcess
from tests.testkit.tiny_models import write_tiny_repository
from topfive.process.signals import signals_of_this_process

GONE_SECONDS = 10.0
"""Far above the second and a half that it takes."""
TOLD = "told to read again"
ONE, OTHER = "correct-horse-battery-staple", "0123456789abcdef"


def status_with(process: ServingProcess, key: str) -> int:
    return process.ask("GET", "/v2", headers={"Authorization": f"Bearer {key}"}).status


@pytest.mark.parametrize("workers", [1, 2])
def test_without_a_terminal_hangup_reads_the_keys_again_and_nobody_dies(tmp_path: Path, workers: int) -> None:
    """In every worker, also in one that is only just starting."""
    keys = tmp_path / "keys"
    keys.write_text(ONE, encoding="ascii")
    flags = ("--backend", "null", "--workers", str(workers), "--api-keys-file", str(keys))
    with ServingProcess(*flags, detached=True) as process:
        if workers > 1:
            process.wait_for_log("listening on http")  # of the first
            process.signal(signal.SIGHUP)
        process.wait_for_log(READY, count=workers)
        assert {status_with(process, ONE) for _ in range(10)} == {200}
        keys.write_text(OTHER, encoding="ascii")
        process.signal(signal.SIGHUP)
        process.wait_for_log("the API keys have changed", count=workers)
        assert {status_with(process, OTHER) for _ in range(10)} == {200}
        assert {status_with(process, ONE) for _ in range(10)} == {401}
        keys.write_text("short", encoding="ascii")
        process.signal(signal.SIGHUP)
        process.wait_for_log("the API keys stay as they were", count=workers)
        assert {status_with(process, OTHER) for _ in range(10)} == {200}
        assert process.stop() == 0


def test_without_a_terminal_hangup_looks_at_a_polled_repository(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path)
    flags = ("--model-repository", str(tmp_path), "--model-control", "poll", "--poll-seconds", "3600")
    with ServingProcess(*flags, detached=True) as process:
        process.wait_for_log(READY)
        (tmp_path / "tiny" / "config.pbtxt").write_text("nonsense", encoding="ascii")
        process.signal(signal.SIGHUP)
        process.wait_for_log("model 'tiny' stays as it was")
        assert process.stop() == 0


def take_terminal() -> None:
    """Make standard input the controlling terminal of this process, the first of a session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_terminal_that_closes_stops_the_service_and_leaves_nobody(workers: int, tmp_path: Path) -> None:
    """As when an ssh connection breaks off: exit code 0, no worker left."""
    ours, theirs = pty.openpty()
    log = tmp_path / "log"
    command = [sys.executable, "-c"]
    command.append(
        "import runpy, sys; from tests.process.test_signals import take_terminal; take_terminal()\n"
        "sys.argv = ['topfive', *sys.argv[1:]]; runpy.run_module('topfive', run_name='__main__')"
    )
    command += ["--port", "0", "--grpc-port", "0", "--backend", "null", "--workers", str(workers)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=out, stderr=out, start_new_session=True)
    os.close(theirs)
    try:
        deadline = time.monotonic() + 60.0
        while log.read_text().count(READY) < workers:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        children = psutil.Process(process.pid).children(recursive=True)
        os.close(ours)
        assert process.wait(GONE_SECONDS) == 0, log.read_text()
        assert psutil.wait_procs(children, timeout=GONE_SECONDS)[1] == []
        assert all(json.loads(line) for line in log.read_text().splitlines())
    finally:
        process.kill()


def test_who_starts_it_to_outlive_the_terminal_has_hangups_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        found = signals_of_this_process()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP not in (*found.stop, *found.reload)


@pytest.mark.parametrize(
    ("when", "backend"), [(READY, "null"), ("Waiting for application startup", "embedded")], ids=["serving", "starting"]
)
def test_workers_die_with_a_supervisor_that_is_killed(when: str, backend: str) -> None:
    """Whatever they are doing; so a new service can have the port at once."""
    with ServingProcess("--workers", "2", "--drain-grace-seconds", "3600", "--backend", backend) as process:
        process.wait_for_log(when, count=2)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.signal(signal.SIGKILL)
        assert psutil.wait_procs(children, timeout=GONE_SECONDS)[1] == []
        process.wait()
        assert "the supervisor is gone" in "".join(process.log)


def test_one_signal_more_while_it_ends_is_no_failure() -> None:
    """Whoever stops a service may ask as often as it likes."""
    with ServingProcess("--backend", "null") as process:
        process.wait_for_log(READY)
        process.signal(signal.SIGTERM)
        for line in ("the service is draining", "the service is stopped"):
            process.wait_for_log(line)
            process.signal(signal.SIGTERM)
        assert process.wait() == 0
