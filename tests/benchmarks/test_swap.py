"""The swap run: its verdict on known answers, and the command itself."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.answers import Told
from benchmarks.mix import Ask
from benchmarks.swap import AFTER, BEFORE, DURING, Swap, judge, tails
from tests.benchmarks.given import answer as answer_of
from topfive_loadgen.plan import Sample

ASKS = [Ask("three", b"", labels=[frozenset({"v1 value 7"}), frozenset({"v1 value 8"})])]
SWAPS = [Swap(2, called=1.0, answered=1.2), Swap(1, called=3.0, answered=3.2)]


def told(version: int, *labels: str, sent: float = 0.5, took: float = 0.01) -> Sample:
    return answer_of(0, sent, sent, sent + took, 200, Told(str(version), labels))


BEFORE_ANY = told(1, "v1 value 7", "v1 value 8")
BETWEEN = told(2, "v2 value 7", "v2 value 8", sent=2.0)


def missed(answers: Sequence[Sample]) -> list[str]:
    return [check.name for check in judge(ASKS, answers, SWAPS) if not check.met]


def test_answers_of_the_version_that_is_served_pass() -> None:
    """Either version while a load is under way."""
    during = [told(version, f"v{version} value 7", f"v{version} value 8", sent=1.1) for version in (1, 2)]
    assert missed([BEFORE_ANY, BETWEEN, *during]) == []


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (answer_of(0, 2.0, 2.0, 2.1, 503, "not_ready", 1.0), "failed requests"),
        (answer_of(0, 2.0, 2.0, 2.1, 0, "closed"), "failed requests"),
        (told(2, "v2 value 7", "v2 value 9", sent=2.0), "wrong answers"),
        (told(2, "v2 value 7", "v1 value 8", sent=2.0), "answers of mixed versions"),
        (told(2, "v1 value 7", "v1 value 8", sent=2.0), "answers of mixed versions"),
        (told(1, "v1 value 7", "v1 value 8", sent=2.0), "answers of a version not served then"),
        (told(2, "v2 value 7", "v2 value 8", sent=0.5), "answers of a version not served then"),
    ],
)
def test_each_fault_is_told_alone(answer: Sample, name: str) -> None:
    """A refusal counts as a failure: a swap is no reason for one."""
    assert missed([BEFORE_ANY, BETWEEN, answer]) == [name]


def test_a_run_in_which_only_one_version_answered_shows_nothing() -> None:
    assert missed([BEFORE_ANY]) == ["versions that answered"]


def test_the_tail_is_told_before_during_and_after() -> None:
    made = tails([BEFORE_ANY, told(1, sent=0.95, took=0.1), told(2, sent=2.0, took=0.03)], SWAPS)
    assert made == {BEFORE: pytest.approx(10), DURING: pytest.approx(100), AFTER: pytest.approx(30)}
    assert math.isnan(tails([BEFORE_ANY], SWAPS)[AFTER])


def test_a_short_run_swaps_under_load_without_a_failed_request(tmp_path: Path) -> None:
    """There and back on the real service, over every route, each answer wholly of one version."""
    main(["swap", "--rate", "60", "--swaps", "2", "--pause", "0.5", "--json", str(tmp_path / "run.json")])
    result = json.loads((tmp_path / "run.json").read_text())
    assert set(result["by_version"]) == {"1", "2"}
    # Its exit code also says whether the generator kept up, which a busy machine decides.
    assert [check["name"] for check in result["checks"] if not check["met"]] == []
