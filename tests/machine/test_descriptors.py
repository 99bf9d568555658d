"""Open files: raised to what the connections need; where the system forbids it there are fewer connections."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys

import pytest

from tests.testkit.serving_process import ROOT
from topfive.machine.descriptors import fit_descriptors


def limited(soft: int, hard: int, then: str) -> subprocess.CompletedProcess[str]:
    """Run `then` in a process of these limits."""
    lower = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
    code = f"{lower}\nfrom topfive.machine.descriptors import fit_descriptors\n{then}"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def found_after(soft: int, hard: int, most: int, backlog: int, *, listeners: int = 1) -> tuple[int, int, str]:
    """How many connections fit, the soft limit then, and what is said."""
    then = f"fitting = fit_descriptors({most}, listeners={listeners}, backlog={backlog})\n"
    ended = limited(soft, hard, then + "print(fitting, *resource.getrlimit(resource.RLIMIT_NOFILE))")
    assert ended.returncode == 0, ended.stderr
    fitting, now, still = map(int, ended.stdout.split())
    assert still == hard
    return fitting, now, ended.stderr


def test_the_soft_limit_is_raised_as_far_as_needed_and_never_lowered() -> None:
    """Two files for each connection over HTTP, which may be reading one; a burst of new ones, if the system lets us."""
    assert found_after(64, 2000, 100, 50) == (100, 2 * 100 + 50 + 256, "")
    assert found_after(64, 460, 100, 50) == (100, 460, "")
    assert found_after(1000, 2000, 100, 50) == (100, 1000, "")
    assert found_after(64, 2000, 100, 50, listeners=2) == (100, 3 * 100 + 50 + 256, "")


def test_a_low_hard_limit_lowers_the_connections_with_a_warning() -> None:
    """GRPC has as many connections as HTTP."""
    for listeners, fitting in ((1, 27), (2, 18)):
        found, now, said = found_after(310, 310, 200, 50, listeners=listeners)
        assert (found, now) == (fitting, 310)
        needed = 200 * (listeners + 1) + 256
        assert [word for word in (f"from 200 to {fitting}", "310 files", f"to {needed}") if word not in said] == []


def test_a_service_with_a_low_limit_starts_and_says_so() -> None:
    run = "import sys; from topfive.process.main import main; sys.exit(main({}))"
    arguments = ["--port", "0", "--grpc-port", "0", "--model-repository", "docs", "--log-level", "warning"]
    ended = limited(400, 400, run.format(arguments))
    assert "max_connections is lowered from 4096 to 48" in ended.stderr
    assert "config.pbtxt" in ended.stderr  # what it ends for is something else


def test_next_to_no_files_are_refused_with_the_way_to_have_more() -> None:
    """Exit code 2."""
    arguments = ["--port", "0", "--grpc-port", "0", "--max-connections", "200"]
    ended = limited(270, 270, f"import sys; from topfive.process.main import main; sys.exit(main({arguments}))")
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert [word for word in ("max_connections 200", "ulimit -n 856", "LimitNOFILE=856") if word not in line] == []


@pytest.mark.parametrize(("allows", "fitting", "limit"), [(900, 200, 856), (300, 100, 556)])
def test_a_system_that_allows_less_than_it_says_is_asked_for_less(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, allows: int, fitting: int, limit: int
) -> None:
    """As macOS: no hard limit, but none above a bound of its own."""
    caplog.set_level(logging.WARNING)
    limits = [556, resource.RLIM_INFINITY]

    def set_limits(kind: int, new: tuple[int, int]) -> None:
        if new[0] > allows:
            raise ValueError("current limit exceeds maximum limit")
        limits[:] = new

    monkeypatch.setattr(resource, "getrlimit", lambda kind: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", set_limits)
    assert fit_descriptors(200, listeners=2, backlog=100) == fitting
    assert limits[0] == limit
    assert "cannot be raised" in caplog.text
