"""A tuning is told as it was: on a page, in Markdown, as data, and in the comment beside the settings."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.pipeline.tuning.simulated import Machine, contest
from topfive_pipeline.judging.machine import Machine as Described
from topfive_pipeline.tuning.choosing import Candidate, Duel
from topfive_pipeline.tuning.contents import candidates, doubts, evidence, summary
from topfive_pipeline.tuning.reports import write
from topfive_pipeline.tuning.tuned import Tuned, tried_of
from topfive_pipeline.under_load.latency_objective import parsed


@pytest.fixture(scope="module")
def told() -> Tuned:
    """Of two servers, the second of which is faster; and a third, which could not be served."""
    objective = parsed("p99:50ms")
    running, (other,) = contest(Machine({1: (100.0, 0.01), 2: (150.0, 0.01)}), objective)
    duel = running.final(other, 5)
    gone = Candidate(replace(other.setting, instances=9), fate="not served", reason="no <room>\nat all")
    all_of_them = (running.current, other, gone)
    tried = tuple(tried_of(each, running.current, objective, agreement=1.0) for each in all_of_them)
    return Tuned(
        name="m",
        classifier="m_classify",
        config="models/m_classify/config.pbtxt",
        graph="models/m_classify/1/model.onnx",
        objective=objective,
        image="jpeg",
        images=6,
        when=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        machine=Described("a | processor", 2, "1.30", "0.1"),
        seconds=60.0,
        load_seconds=1.0,
        cores_shared=True,
        tried=tried,
        chosen=tried[1],
        final=duel,
        verdict="better",
        text="",
        written=True,
        warnings=("be warned",),
    )


def test_the_report_is_written_three_times(told: Tuned, tmp_path: Path) -> None:
    stored, text, page = write(told, tmp_path / "new")
    data = json.loads(stored.read_text(encoding="utf-8"))
    assert data == json.loads(json.dumps(told.to_dict()))
    assert data["final"]["won"] == 5
    assert [each["fate"] for each in data["tried"]] == ["", "", "not served"]
    shown = page.read_text(encoding="utf-8")
    assert shown.count("<svg") == 1
    assert "no &lt;room&gt; at all" in shown
    for words in (r"a \| processor", "be warned", r"no \<room> at all", "1.50"):
        assert words in text.read_text(encoding="utf-8")


def test_no_number_is_one_that_json_has_not(told: Tuned, tmp_path: Path) -> None:
    """A candidate that holds where what is there does not is infinitely better."""
    endless = replace(told, final=Duel((math.inf,) * 5), chosen=replace(told.tried[1], ratio=math.inf))
    stored, *_ = write(endless, tmp_path)
    json.loads(stored.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert "∞ times the rate" in summary(endless)


def test_the_evidence_says_what_was_tried_where_and_by_which_rule(told: Tuned) -> None:
    said = "\n".join(evidence(told))
    for words in (
        "1.50 times the rate",
        "a | processor, 2 cores",
        "1.05 or more",
        "sign test",
        "9 x 1",
        "no <room> at all",
    ):
        assert words in said
    assert len(candidates(told).rows) == 3


def test_each_verdict_has_a_sentence(told: Tuned) -> None:
    assert "is better: 1.50 times" in summary(told)
    assert "is not clearly better (1.50 times" in summary(replace(told, verdict="as good"))
    assert "nothing that was tried is ahead" in summary(replace(told, verdict="as good", final=None))
    assert "holds at no rate, whatever is set (the shortest p99 that was seen is" in summary(
        replace(told, verdict="unmet")
    )


def test_a_smaller_limit_is_said_to_matter_to_others(told: Tuned) -> None:
    smaller = replace(told.tried[1], setting=replace(told.tried[1].setting, max_batch_size=4))
    assert any("on Triton the ensemble's own max_batch_size" in each for each in doubts(replace(told, chosen=smaller)))
    alone = replace(told, chosen=smaller, classifier="m")
    assert any("one request may carry 4 images at most" in each for each in doubts(alone))
