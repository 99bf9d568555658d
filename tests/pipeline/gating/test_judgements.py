"""The file of judgements only grows, and loses nothing that was said to be stored."""

from __future__ import annotations

import json
import resource
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.pipeline.gating.sides import judged
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.judgements import opened, read


def test_what_stands_is_what_was_said_last(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    said = [
        judged("a", "live"),
        judged("b", "equal"),
        judged("a", "candidate", judge="bob"),
        judged("a", "candidate"),
        judged("b", "undone"),
    ]
    with opened(path) as store:
        for each in said:
            store.add(each)
            assert path.read_text().endswith("\n")
    assert read(path) == [said[2], said[3]]
    assert len(path.read_text().splitlines()) == 5


def test_a_file_that_was_just_made_holds_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "judged.jsonl"):
        assert read(tmp_path / "judged.jsonl") == []


def test_a_line_that_a_crash_has_torn_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    with opened(path) as store:
        store.add(judged("a", "live"))
    with path.open("a") as file:
        file.write('{"question": "b", "ver')
    assert [each.question for each in read(path)] == ["a"]
    with opened(path) as store:
        store.add(judged("c", "live"))
    assert [each.question for each in read(path)] == ["a", "c"]


def test_of_what_could_not_be_stored_nothing_is_left(tmp_path: Path) -> None:
    """Where the disk is full in the middle of a line, here by a limit on the size of files."""
    path = tmp_path / "judged.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(path) as store:
        store.add(judged("a", "live"))
        whole = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, before[1]))
        try:
            with pytest.raises(OSError, match=r"No space left|File too large"):
                store.add(judged("b", "live"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.read_bytes() == whole
        store.add(judged("b", "live"))
    assert len(read(path)) == 2


def test_a_second_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    with opened(path), pytest.raises(ConfigurationError, match="another topfive judge has it open"), opened(path):
        pass
    with opened(path):
        pass


def test_where_nothing_can_be_stored_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"judgements cannot be stored there \(Is a directory\)"),
        opened(tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    "change",
    [{"verdict": "best"}, {"left": "north"}, {"judge": 3}, {"more": 1}],
)
def test_another_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "judged.jsonl"
    path.write_text(json.dumps({**asdict(judged("a", "live")), **change}) + "\n")
    with pytest.raises(
        ConfigurationError, match=r"judged\.jsonl, line 1: it is no judgement .*is it a file of topfive"
    ):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / "judged.jsonl")
