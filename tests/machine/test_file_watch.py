"""Files that change are read again, however they change; what cannot be used is told once and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive.machine.file_watch import FileWatch


class Bench:
    """A watch on one file, which takes what it says unless it says "broken"."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken = [path.read_text()]
        self.watch = FileWatch("secrets", [path], self.read)

    def read(self) -> None:
        text = self.path.read_text() if self.path.exists() else "broken"
        if text == "broken":
            raise ConfigurationError("it is broken")
        self.taken.append(text)


def in_place(path: Path, text: str) -> None:
    """With the same size, time and inode, as a coarse clock may leave it."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed(path: Path, text: str) -> None:
    other = path.with_name("other")
    other.write_text(text)
    other.rename(path)


def as_kubernetes_does(path: Path, text: str) -> None:
    """`secret` is a link into `..data`, a link to a folder, and that one is turned."""
    folder = path.parent
    fresh = folder / f"..{text}"
    fresh.mkdir()
    (fresh / path.name).write_text(text)
    (folder / "..data_tmp").symlink_to(fresh.name)
    (folder / "..data_tmp").rename(folder / "..data")


@pytest.mark.parametrize("change", [in_place, renamed, as_kubernetes_does])
def test_a_change_is_found_however_it_is_made(tmp_path: Path, change: Callable[[Path, str], None]) -> None:
    path = tmp_path / "secret"
    if change is as_kubernetes_does:
        path.symlink_to("..data/secret")
        change(path, "one")
    else:
        path.write_text("one")
    bench = Bench(path)
    bench.watch.look()
    change(path, "two")
    for _ in range(3):
        bench.watch.look()
    assert bench.taken == ["one", "two"]


def test_what_cannot_be_used_is_told_once_and_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    bench = Bench(path)
    path.write_text("broken")
    for _ in range(3):
        bench.watch.look()
    assert caplog.text.count("the secrets stay as they were: it is broken") == 1
    path.unlink()
    for _ in range(3):
        bench.watch.look()
    assert caplog.text.count("stay as they were") == 2
    path.write_text("two")
    bench.watch.look()
    assert bench.taken == ["one", "two"]
