"""The end of a server's process ends a run; that of a process below it, such as one that decodes, does not."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from loadtests import target
from loadtests.liveness import Liveness
from loadtests.sampling import Sampler

pytestmark = pytest.mark.untraced


@pytest.fixture
def ended() -> psutil.Process:
    """A process that was there a moment ago."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        return psutil.Process(process.pid)


@pytest.fixture
def alive() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield psutil.Process(process.pid)


def sampled(process: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> tuple[Liveness, Sampler]:
    """What is known after one reading."""
    monkeypatch.setattr(target, "get", lambda _: b"")
    following = Liveness(zero=0.0)
    sampler = Sampler("http://127.0.0.1:9/metrics", following, pid=None, zero=time.monotonic(), say=print)
    sampler._process = process
    with sampler:
        pass
    return following, sampler


def test_the_server_s_process_has_ended(
    ended: psutil.Process, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    following, sampler = sampled(ended, monkeypatch)
    assert following.lost is not None
    assert following.lost.reason == f"the server's process {ended.pid} has ended"
    assert following.lost.reason in capsys.readouterr().out
    assert sampler.missed == 1


def test_a_process_below_it_has_ended(
    alive: psutil.Process, ended: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for it and the look at it; that reading is missed."""
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: [ended])
    following, sampler = sampled(alive, monkeypatch)
    assert following.lost is None
    assert sampler.missed == 1
