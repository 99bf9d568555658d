"""A folder shows whole models, each by one rename."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from tests.testkit.stores import files_in
from topfive.ground.errors import ConfigurationError
from topfive.repository.published import Published


def keep(published: Published, *texts: str) -> list[str]:
    kept = []
    for text in texts:
        published.part.write_text(text)
        kept.append(hashlib.sha256(text.encode()).hexdigest())
        published.keep(kept[-1])
    return kept


@pytest.fixture
def published(tmp_path: Path) -> Published:
    published = Published(tmp_path)
    published.begin()
    return published


def test_an_open_file_stays_what_it_was_and_a_reader_never_finds_half(published: Published) -> None:
    """Between its old and its new folder a model may be missing for a moment; it is never mixed."""
    one, two = keep(published, "one", "two")
    published.publish({"cat/a": one, "cat/b": one}, ours=())
    seen: list[dict[str, bytes]] = []
    rename = os.rename

    def looking(path: Path, target: Path) -> Path:
        seen.append(files_in(published.folder))
        rename(path, target)
        seen.append(files_in(published.folder))
        return target

    with (published.folder / "cat" / "a").open() as file, pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "rename", looking)
        patched.setattr(Path, "replace", looking)
        published.publish({"cat/a": two, "cat/b": two}, ours=["cat"])
        assert file.read() == "one"
    before, after = dict.fromkeys(("cat/a", "cat/b"), b"one"), dict.fromkeys(("cat/a", "cat/b"), b"two")
    assert seen[0] == before
    assert seen[-1] == after
    assert all(found in (before, {}, after) for found in seen)


def test_a_served_file_cannot_be_overwritten_in_place(published: Published) -> None:
    (one,) = keep(published, "one")
    published.publish({"cat/a": one}, ours=())
    assert (published.folder / "cat" / "a").stat().st_mode & 0o222 == 0


def test_what_was_half_written_is_cleared_away(published: Published) -> None:
    """It may be read-only already, and could then not be written again."""
    published.part.touch()
    (published.folder / ".topfive" / "staged" / "cat").mkdir()
    published.begin()
    assert not published.part.exists()
    assert not list((published.folder / ".topfive" / "staged").iterdir())


def test_a_folder_that_becomes_a_file_and_back(published: Published) -> None:
    one, two = keep(published, "one", "two")
    for files in ({"a": one}, {"a/b": two}, {"a": two}, {"c": one}):
        published.publish(files, ours=["a", "c"])
        assert set(files_in(published.folder)) == set(files)
        assert published.shows(files)


def test_a_file_beside_that_came_from_elsewhere_leaves_with_the_next_change(published: Published) -> None:
    one, two = keep(published, "one", "two")
    published.publish({"cat/a": one}, ours=())
    (published.folder / "cat" / "stray").touch()
    published.publish({"cat/a": one, "dog/a": two}, ours=["cat"])
    assert set(files_in(published.folder)) == {"cat/a", "dog/a"}


def test_without_hard_links_files_are_copied(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", none)
    (one,) = keep(published, "one")
    published.publish({"cat/a": one}, ours=())
    assert files_in(published.folder) == {"cat/a": b"one"}
    assert published.shows({"cat/a": one})


def test_names_that_the_disk_takes_for_the_same_are_refused(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(*_: object) -> None:
        raise FileExistsError

    monkeypatch.setattr(Path, "hardlink_to", same)
    (one,) = keep(published, "one")
    with pytest.raises(ConfigurationError, match="in capitals and small letters"):
        published.publish({"cat/a": one, "cat/A": one}, ours=())
