"""One look at a folder sorts what lies in it, and nothing that lies there makes it fail."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from topfive.repository.entries import Entries, read_entries, shown


def reasons(entries: Entries) -> dict[str, str]:
    return {name: why.reason for name, why in entries.left_out.items()}


def test_folders_and_files_are_told_apart_and_links_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "to folder").symlink_to("folder")
    (tmp_path / "to file").symlink_to(tmp_path / "file")
    assert read_entries(tmp_path) == Entries(("folder", "to folder"), ("file", "to file"), {})


@pytest.mark.parametrize(
    "name",
    ["lost+found", "__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "THUMBS.DB"],
)
@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_systems_leave_behind_is_left_out(tmp_path: Path, name: str, make: object) -> None:
    (tmp_path / name).mkdir() if make is Path.mkdir else (tmp_path / name).touch()
    entries = read_entries(tmp_path)
    assert (entries.folders, entries.files) == ((), ())
    assert not entries.left_out[name].suspect


@pytest.mark.parametrize("name", [".git", ".DS_Store", "._config.pbtxt", "..data", ".new"])
def test_what_begins_with_a_dot_is_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert reasons(read_entries(tmp_path)) == {name: "its name begins with a dot"}


def test_links_that_lead_nowhere_or_in_a_circle_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("gone")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    found = reasons(read_entries(tmp_path))
    assert found["broken"] == "it is a link that leads nowhere"
    assert "cannot be looked at" in found["a"]
    assert "cannot be looked at" in found["b"]


def test_what_is_neither_folder_nor_file_is_left_out_and_not_opened(tmp_path: Path) -> None:
    """A pipe that is opened waits for a writer, for ever."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        (tmp_path / "s").mkdir()
        listener.bind(os.path.relpath(tmp_path / "s" / "socket"))
        (tmp_path / "null").symlink_to("/dev/null")
        assert reasons(read_entries(tmp_path)) == {
            "pipe": "it is a pipe, neither a folder nor a file",
            "null": "it is a device, neither a folder nor a file",
        }
        assert "a socket" in reasons(read_entries(tmp_path / "s"))["socket"]


def test_a_name_that_is_not_text_is_left_out_and_can_be_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / name).mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    assert reasons(read_entries(tmp_path)) == {name: "its name is not UTF-8; rename it"}
    assert shown(tmp_path / name).endswith("caf\\udce9")
    shown(tmp_path / name).encode()


def test_what_is_no_folder_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "gone"):
        with pytest.raises(OSError, match=name):
            read_entries(tmp_path / name)
