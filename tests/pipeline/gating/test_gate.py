"""Parts run in their order, and one that cannot run is unknown, with why; it ends nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.pipeline.gating.told import GATED, MET
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.gate import Part, Progress, run


def part(key: str, error: Exception | None = None) -> Part:
    def look(progress: Progress) -> Sequence[Chapter]:
        progress("looking")
        if error is not None:
            raise error
        return [Chapter(key=key, title=key, findings=(MET,))]

    return Part(key=key, title=key.title(), seconds=90, run=look)


def test_parts_run_in_their_order_and_say_how_long_it_may_take() -> None:
    steps: list[str] = []
    assert [chapter.key for chapter in run([part("cases"), part("load")], steps.append)] == ["cases", "load"]
    assert steps == [
        "1 of 2, cases (about 3 min to go)",
        "1 of 2, cases (about 3 min to go): looking",
        "2 of 2, load (about 90 s to go)",
        "2 of 2, load (about 90 s to go): looking",
    ]


@pytest.mark.parametrize("error", [ConfigurationError("its server\nended"), OSError("its server ended")])
def test_a_part_that_cannot_run_is_unknown_and_the_next_one_runs(error: Exception) -> None:
    first, second = run([part("cases", error), part("load")], lambda _: None)
    (finding,) = first.findings
    assert (finding.name, finding.met, finding.note) == ("cases", None, "its server ended")
    assert second.findings == (MET,)


def test_a_fault_of_ours_is_no_finding() -> None:
    with pytest.raises(ZeroDivisionError):
        list(run([part("cases", ZeroDivisionError())], lambda _: None))


def test_all_that_was_found_is_there_for_programs() -> None:
    told = json.loads(json.dumps(GATED.as_json()))
    assert (told["verdict"], told["candidate"]) == ("no", "pets:2")
    assert told["sentence"] == "NO: p99 at 8 workers 61 ms > 50 ms; else 9 of 11 met, 1 unknown."
    assert [len(chapter["findings"]) for chapter in told["chapters"]] == [8, 3]
    assert told["chapters"][1]["figures"] == {"p99": 0.061}
    assert told["left_out"] == ["quality (--photos)"]


def test_a_yes_says_what_it_is_not_about() -> None:
    """The sentence is read alone, in a log or a chat."""
    told = replace(GATED, chapters=GATED.chapters[:1])
    assert told.sentence == "YES: all 8 met; not looked at: quality."
    assert replace(told, left_out=()).sentence == "YES: all 8 met."
