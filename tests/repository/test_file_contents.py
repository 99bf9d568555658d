"""A file is read once for each state that the disk shows of it, and only its bytes say whether it changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from topfive.repository.file_contents import Contents


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"as it was")
    return path


def moved(path: Path) -> os.stat_result:
    """As `path` is, but for its inode."""
    fields = list(path.stat())
    fields[1] += 1
    return os.stat_result(fields)


def test_what_looks_the_same_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across turns, in each of which it was asked for."""
    contents = Contents()
    digest = contents.digest(file, file.stat())
    with monkeypatch.context() as no_reading:
        no_reading.setattr(Path, "open", lambda *_: pytest.fail("it was read again"))
        for _ in range(3):
            contents.turn()
            assert contents.digest(file, file.stat()) == digest


def test_what_looks_other_is_read_once_more_and_may_be_the_same(file: Path) -> None:
    contents = Contents()
    digest = contents.digest(file, file.stat())
    assert contents.digest(file, moved(file)) == digest
    os.utime(file, (0, 0))
    assert contents.digest(file, file.stat()) == digest
    file.write_bytes(b"as it IS.")
    assert contents.digest(file, file.stat()) != digest


def test_what_is_asked_for_no_more_is_forgotten(file: Path) -> None:
    contents = Contents()
    contents.digest(file, file.stat())
    contents.turn()
    contents.turn()
    status = file.stat()
    file.unlink()
    with pytest.raises(FileNotFoundError):
        contents.digest(file, status)
