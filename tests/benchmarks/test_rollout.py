"""The run on shadows and canaries: what it compares, on known windows; and its repository of two versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load_figures import OK
from benchmarks.rollout import OFF, SHADOW, Window, ratios, write_versions
from tests.testkit.tiny_models import write_tiny_repository
from topfive.repository.reading import Repository
from topfive_loadgen.http1 import Response
from topfive_loadgen.plan import Done, Sample


def window(setting: str, turn: int, *latencies: float, lost: int = 0) -> Window:
    samples = [sample(each, Response(OK, b"")) for each in latencies] + [sample(1.0, None)] * lost
    done = Done(samples=samples, began=0.0, seconds=1.0, elapsed=1.0, connections=1, starved=0, cpu_seconds=0.0)
    return Window(setting, turn, done)


def sample(latency: float, response: Response | None) -> Sample:
    return Sample(
        request=0, scheduled=0.0, sent=0.0, done=latency, response=response, reason="" if response else "refused"
    )


def test_ratios_are_of_windows_of_the_same_round() -> None:
    windows = [window(OFF, 0, 0.01), window(SHADOW, 0, 0.02), window(SHADOW, 1, 0.03), window(OFF, 1, 0.06)]
    assert ratios(windows, SHADOW, 50) == pytest.approx([2.0, 0.5])


def test_what_is_not_answered_is_lost_and_has_no_latency() -> None:
    found = window(OFF, 0, 0.01, 0.03, lost=2)
    assert len(found.failed) == 2
    assert found.percentile(99) <= 30


def test_both_versions_are_in_the_repository_and_served(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path / "source")
    (tmp_path / "source" / "classify").rename(tmp_path / "source" / "tiny_classify")
    text = (tmp_path / "source" / "tiny" / "config.pbtxt").read_text()
    (tmp_path / "source" / "tiny" / "config.pbtxt").write_text(text.replace('"classify"', '"tiny_classify"'))
    stored = Repository(write_versions(tmp_path / "models", tmp_path / "source")).read()
    assert stored["tiny_classify"].versions == (1, 2)
