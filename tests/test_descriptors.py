"""Open files: raised to what the connections need, and refused where the system forbids it."""

from __future__ import annotations

import resource
import subprocess
import sys

from tests.serving_process import ROOT

INFINITE = resource.RLIM_INFINITY


def limited(soft: int, hard: int, then: str) -> subprocess.CompletedProcess[str]:
    """Run `then` in a process of these limits."""
    lower = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
    code = f"{lower}\nfrom service.descriptors import ensure_descriptors\n{then}"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def soft_after(soft: int, hard: int, max_connections: int, backlog: int, *, listeners: int = 1) -> int:
    then = f"ensure_descriptors({max_connections}, listeners={listeners}, backlog={backlog})\n"
    ended = limited(soft, hard, then + "print(*resource.getrlimit(resource.RLIMIT_NOFILE))")
    assert ended.returncode == 0, ended.stderr
    found, still = map(int, ended.stdout.split())
    assert still == hard
    return found


def test_the_soft_limit_is_raised_as_far_as_needed_and_never_lowered() -> None:
    """Room for other files, static ones and a burst of new connections comes on top, up to the hard limit."""
    assert soft_after(64, 2000, 100, 50) == 2 * 100 + 50 + 256
    assert soft_after(64, 400, 100, 50) == 400
    assert soft_after(1000, 2000, 100, 50) == 1000
    assert soft_after(64, 2000, 100, 50, listeners=2) == 3 * 100 + 50 + 256


def test_more_connections_than_the_hard_limit_holds_are_refused_at_the_start() -> None:
    """With exit code 2 and how to put it right; gRPC has as many connections as HTTP."""
    for grpc, words in (("--no-grpc", ("456", "300", "at most 44")), ("--grpc", ("656", "300", "at most 22"))):
        arguments = ["--port", "0", "--max-connections", "200", grpc]
        ended = limited(300, 300, f"import sys; from service.process import main; sys.exit(main({arguments}))")
        assert ended.returncode == 2
        assert ended.stdout == ""
        (line,) = ended.stderr.splitlines()
        assert [word for word in ("max_connections is 200", *words) if word not in line] == []
