"""An import that is stopped leaves nothing, shows no traceback, and its server ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from topfive_pipeline.proof.programs import ending_with

_SECONDS = 20.0
_SLOW = """
import sys, time
from topfive_pipeline.commands.running import run
def command() -> int:
    try:
        print("begun", flush=True)
        WORK
    finally:
        print("put away", flush=True)
    return 0
sys.exit(run(command, "import", [], needs_arguments=False))
"""
_PARENT = """
import os, subprocess, time
from topfive_pipeline.proof.programs import ending_with
child = subprocess.Popen(ending_with(os.getpid(), ["sleep", "60"]))
while not open(f"/proc/{child.pid}/cmdline", "rb").read().startswith(b"sleep"):
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(60)
"""


def started(work: str) -> subprocess.Popen[str]:
    """A process that runs a command which does `work`, and has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW.replace("WORK", work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_order(number: signal.Signals) -> None:
    process = started("time.sleep(60)")
    process.send_signal(number)
    assert process.communicate(timeout=_SECONDS) == ("put away\n", "topfive import: stopped\n")
    assert process.returncode == 130


def test_one_that_cannot_end_in_order_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the runtime computes for ever: the handler of Python never runs."""
    process = started(
        "from topfive_pipeline.commands import stopping; stopping._GRACE_SECONDS = 0.2\n"
        "        while True:\n"
        "            try: print('busy', flush=True); time.sleep(60)\n"
        "            except KeyboardInterrupt: pass"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=_SECONDS) == ("busy\n", "topfive: stopped\n")
    assert process.returncode == 130


def test_nobody_who_reads_is_no_error() -> None:
    with started("time.sleep(0.2); print('more' * 100000)") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tell a process that its parent has ended")
def test_a_program_of_the_proof_ends_when_the_import_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    with parent:
        parent.kill()
    end = time.monotonic() + _SECONDS
    while _lives(child):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_program_whose_parent_has_ended_already_does_not_start() -> None:
    assert subprocess.run(ending_with(1, ["false"]), check=False, timeout=_SECONDS).returncode == 0


def _lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
