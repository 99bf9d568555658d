"""A rolling restart behind the real nginx, with the file that is deployed."""

import json
from pathlib import Path

import pytest

from benchmarks import nginx, repositories, rolling
from benchmarks.__main__ import main
from benchmarks.answers import Told
from benchmarks.mix import Ask
from benchmarks.server import ROOT
from tests.benchmarks.given import answer as answer_of
from tests.benchmarks.given import run_of
from topfive_loadgen.plan import Sample

REPLICAS = [("127.0.0.1", 11), ("127.0.0.1", 12)]
ASKS = [Ask("raw", b"", labels=[frozenset({"cat"})])]
RIGHT = answer_of(0, 0.0, 0.0, 0.1, 200, Told("1", ("cat",)))


def test_only_the_lines_that_an_operator_changes_are_changed() -> None:
    """Two replicas and the port; every other line of the file is used as it is deployed."""
    deployed = nginx.DEPLOYED.read_text()
    changed = nginx.with_ports(deployed, replicas=REPLICAS, port=13)
    pairs = zip(deployed.splitlines(), changed.splitlines(), strict=True)
    assert [new.split()[:2] for old, new in pairs if old != new] == [
        ["server", "127.0.0.1:11"],
        ["server", "127.0.0.1:12"],
        ["listen", "127.0.0.1:13;"],
    ]


def test_a_file_without_those_lines_is_refused() -> None:
    with pytest.raises(SystemExit, match="0 times 'listen 8080;'"):
        nginx.with_ports(nginx.DEPLOYED.read_text().replace("8080", "80"), replicas=REPLICAS, port=13)


def test_what_went_to_two_replicas_was_tried_again() -> None:
    assert nginx.retried([{"upstream": "a:1"}, {"upstream": "a:1, b:2"}, {"upstream": "-"}]) == 1


@pytest.mark.parametrize(
    ("answer", "codes", "missed"),
    [
        (RIGHT, [0, 0], []),
        (RIGHT, [0, -15], ["replicas that did not exit with 0"]),
        (answer_of(0, 0.0, 0.0, 0.1, 0, "closed"), [0], ["requests without an answer"]),
        (answer_of(0, 0.0, 0.0, 0.1, 502, "Bad Gateway"), [0], ["wrong answers"]),
        (answer_of(0, 0.0, 0.0, 0.1, 503, "not_ready", 1.0), [0], ["kinds of requests refused"]),
    ],
)
def test_no_request_may_fail(answer: Sample, codes: list[int], missed: list[str]) -> None:
    """Not even by an honest refusal: there is always a replica that could have answered."""
    checks, _ = rolling.judge(ASKS, run_of([RIGHT, answer], seconds=1.0), exit_codes=codes)
    assert [check.name for check in checks if not check.met] == missed


@pytest.mark.skipif(not nginx.is_there(), reason="there is no nginx: apt-get install nginx-light")
def test_two_replicas_restart_one_after_the_other_and_no_request_fails(tmp_path: Path) -> None:
    """Under load through the real nginx; each ends by SIGTERM with 0, and is ready again before the other ends."""
    repositories.write_sturdy(tmp_path / "models")
    options = ["--model-repository", str(tmp_path / "models"), "--model", repositories.STURDY]
    options += ["--images", str(ROOT / "docs"), "--json", str(tmp_path / "run.json")]
    main(["rolling", *options, "--rate", "20", "--pause", "0.3", "--drain-grace", "2.5"])
    result = json.loads((tmp_path / "run.json").read_text())
    assert len(result["restarts"]) == 2
    assert len(result["by_replica"]) == 2
    # Its exit code also says whether the generator kept up, which a busy machine decides.
    assert [check["name"] for check in result["checks"] if not check["met"]] == []
