"""What a mirror notes survives, and what cannot be read counts as not noted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.stores import FakeStore
from topfive.repository.mirror_notes import (
    Index,
    note_failure,
    note_success,
    read_index,
    read_looks,
    write_index,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".topfive").mkdir()
    return tmp_path


def test_an_index_is_read_as_it_was_written(folder: Path) -> None:
    (file,) = FakeStore({"a": b"a"}).files()
    index = Index("s3://bucket", shown={"a": "1"}, coming={"b": "2"})
    index.note(file, "1")
    write_index(folder, index)
    assert read_index(folder) == index
    assert read_index(folder).sha256_of(file) == "1"
    (changed,) = FakeStore({"a": b"b"}).files()
    assert not index.sha256_of(changed)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"unknown": 1}'])
def test_an_index_that_cannot_be_read_is_empty(text: str, folder: Path) -> None:
    (folder / ".topfive" / "index.json").write_text(text)
    assert read_index(folder) == Index()


def test_looks_are_counted_since_the_last_that_succeeded(folder: Path) -> None:
    assert read_looks(folder) == (0.0, 0)
    note_failure(folder)
    note_failure(folder)
    assert read_looks(folder) == (0.0, 2)
    note_success(folder)
    looked, failures = read_looks(folder)
    assert (looked > 0, failures) == (True, 0)
