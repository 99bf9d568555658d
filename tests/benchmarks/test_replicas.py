"""Replicas behind the real proxies, with the files that are deployed: restarted, drained, and cut off."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import namespaces, proxies, replicas, repositories
from benchmarks.__main__ import main
from benchmarks.answers import Told
from benchmarks.mix import Ask
from benchmarks.server import ROOT
from tests.benchmarks.given import answer as answer_of
from tests.benchmarks.given import run_of
from topfive_loadgen.plan import Sample

ASKS = [Ask("raw", b"", labels=[frozenset({"cat"})])]
RIGHT = answer_of(0, 0.0, 0.0, 0.1, 200, Told("1", ("cat",)))


@pytest.mark.parametrize(
    ("answer", "ended_badly", "missed"),
    [
        (RIGHT, [], []),
        (RIGHT, ["replica 2: -15"], ["replicas that ended with another exit code"]),
        (answer_of(0, 0.0, 0.0, 0.1, 0, "closed"), [], ["requests without an answer"]),
        (answer_of(0, 0.0, 0.0, 0.1, 502, "Bad Gateway"), [], ["wrong answers"]),
        (answer_of(0, 0.0, 0.0, 0.1, 503, "not_ready", 1.0), [], ["kinds of requests refused"]),
    ],
)
def test_no_request_may_fail(answer: Sample, ended_badly: list[str], missed: list[str]) -> None:
    """Not even by an honest refusal: there is always a replica that could have answered."""
    checks, _ = replicas.judge(ASKS, run_of([RIGHT, answer], seconds=1.0), ended_badly=ended_badly)
    assert [check.name for check in checks if not check.met] == missed


def test_what_a_proxy_cannot_send_again_is_left_out_and_said() -> None:
    class Small:
        def sent_again(self) -> float:
            return 3

    front: Any = Small()
    asks = [Ask("raw", b"123"), Ask("three", b"1234"), Ask("three", b"12345")]
    assert replicas.sendable(asks, front) == (asks[:1], ["three (2)"])


@pytest.mark.parametrize(
    ("proxy", "scenario", "options"),
    [
        # One after the other: each ends by SIGTERM with 0, and is ready again before the next one ends.
        ("nginx", "rolling", ("--no-namespaces", "--drain-grace", "2.5")),
        # One ends and stays away for a moment; the health check sees it.
        ("haproxy", "drain", ("--no-namespaces", "--drain-grace", "2.5", "--away", "0")),
        # Its packets vanish for longer than what is under way is waited for.
        ("haproxy", "unplugged", ("--away", "4", "--drain-grace", "0")),
    ],
)
def test_no_request_fails(proxy: str, scenario: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """Under load through the real proxy."""
    if not proxies.is_there(proxy):
        pytest.skip(f"there is no {proxy}: apt-get install {replicas.PACKAGES[proxy]}")
    if "--no-namespaces" not in options and (why := namespaces.missing()):
        pytest.skip(why)
    repositories.write_sturdy(tmp_path / "models")
    given = ["--model-repository", str(tmp_path / "models"), "--model", repositories.STURDY]
    given += ["--images", str(ROOT / "docs"), "--json", str(tmp_path / "run.json"), "--rate", "10", "--pause", "0.3"]
    main(["replicas", "--proxy", proxy, "--scenario", scenario, *given, *options])
    result = json.loads((tmp_path / "run.json").read_text())
    assert len(result["effects"]) == (2 if scenario == "rolling" else 1)
    assert len(result["by_replica"]) == 2
    # Its exit code also says whether the generator kept up, which a busy machine decides.
    assert [check["name"] for check in result["checks"] if not check["met"]] == []


def test_a_command_that_is_told_to_end_leaves_no_network_behind(tmp_path: Path) -> None:
    """By SIGTERM, with which supervisors and CI end what takes too long."""
    if why := (namespaces.missing() or (not proxies.is_there("nginx") and "there is no nginx")):
        pytest.skip(why)
    repositories.write_sturdy(tmp_path / "models")
    given = ["--model-repository", str(tmp_path / "models"), "--model", repositories.STURDY]
    given += ["--images", str(ROOT / "docs"), "--proxy", "nginx", "--scenario", "unplugged"]
    command = [sys.executable, "-m", "benchmarks", "replicas", *given]

    def left(pid: int) -> list[str]:
        told = subprocess.run(("ip", "netns", "list"), capture_output=True, text=True, check=True).stdout
        return [line for line in told.splitlines() if line.startswith(f"t{pid}n")]

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not left(process.pid):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert left(process.pid) == []
