"""A profile is told three times, and says what it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.pipeline.profiling.evidence_of import driven, evidence, graph
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.recording import of_profile
from topfive_pipeline.judging.machine import Machine
from topfive_pipeline.profiling.contents import sections
from topfive_pipeline.profiling.profile import Profile
from topfive_pipeline.profiling.reports import write
from topfive_pipeline.profiling.stacks import functions
from topfive_pipeline.profiling.usage import Usage
from topfive_pipeline.profiling.verdict import verdict

STACKS = {"thread (7): MainThread;main (a.py:1);<lambda> (b.py:2)": 3}


@pytest.fixture
def told() -> Profile:
    """Of a service whose quota holds it back, and whose network takes its cores."""
    found = evidence(
        cores=1.9,
        machine=2.0,
        throttled=0.4,
        load=driven(8, cpu=0.3),
        graphs=(graph(), graph("resize")),
        refused={"429": 7},
        gpu=0.25,
    )
    return Profile(
        name="m",
        when=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        machine=Machine("a | processor", 2, "1.30", "0.1"),
        seconds=20.0,
        load="6 images",
        evidence=found,
        findings=verdict(found),
        functions=tuple(functions(STACKS)),
        stacks=STACKS,
        stack_seconds=10.0,
        unknown=("py-spy is <not> installed",),
    )


def test_it_is_written_three_times(told: Profile, tmp_path: Path) -> None:
    stored, text, page = write(told, tmp_path / "new")
    data = json.loads(stored.read_text(encoding="utf-8"))
    assert [finding["key"] for finding in data["findings"]] == ["quota", "cpu:inference"]
    assert data["summary"].endswith("Besides: CPU-bound in the network.")
    assert "stacks" not in data
    assert "a higher quota" in text.read_text(encoding="utf-8")
    shown = page.read_text(encoding="utf-8")
    assert "<code>--cpus</code>" in shown
    assert "py-spy is &lt;not&gt; installed" in shown
    assert shown.count("<svg") == 4  # the request, two graphs, the flame graph
    assert "&lt;lambda&gt;" in shown
    assert "<script" not in shown


def test_what_holds_besides_and_what_was_refused_is_told(told: Profile) -> None:
    found = {section.key: section for section in sections(told)}
    assert any(
        "Also: CPU-bound in the network" in note and "topfive optimise m" in note for note in found["choice"].notes
    )
    assert found["stages"].notes == ("not answered: 7 × 429",)
    assert ("GPU computes", "25%") in found["machine"].tables[0].rows
    assert "1.0 times as long as 8.00 ms by itself" in found["inference"].notes[0]
    assert "50% of the 200 billion operations a second" in found["inference"].notes[1]


def test_from_outside_only_the_page_has_what_there_is(told: Profile, tmp_path: Path) -> None:
    bare = replace(told.evidence, stages=None, usage=Usage(seconds=20.0), load=None, gpu=None, graphs=())
    alone = replace(told, evidence=bare, findings=verdict(bare), stacks={}, functions=())
    assert [section.key for section in sections(alone)] == ["choice", "machine", "circumstances"]
    values = {value for _, value in sections(alone)[1].tables[0].rows}
    assert values == {"–", "– and –", "–, –", "no GPU"}
    assert "<svg" not in write(alone, tmp_path)[2].read_text(encoding="utf-8")


def test_it_is_recorded_with_what_it_names(told: Profile) -> None:
    run = of_profile(told, {"connections": 8})
    assert (run.model, run.tags) == ("m", {"bottleneck": "quota"})
    assert run.metrics["inference_seconds"] == pytest.approx(0.008)
    assert run.metrics["rate"] == 50
    assert json.loads(run.texts["profile.json"])["name"] == "m"


def test_a_folder_that_cannot_be_written_is_refused(told: Profile, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"--report .*file: cannot be written"):
        write(told, tmp_path / "file")
