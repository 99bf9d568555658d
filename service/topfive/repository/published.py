"""A folder that others read while it is brought up to date: whole models appear in it, and whole models leave it.

What lives here: files kept by their content, aside, and the renames that make a set of them visible. What does not:
where they come from (`repository.mirror`).

All that is aside is in the folder `.topfive`, which a reader of the repository passes over. A model's folder is made
there of hard links, written to the disk, and renamed into its place. So a reader never finds half a version, and one
that has a file open keeps it.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError

ASIDE: Final = ".topfive"
_PART: Final = "part"


class Published:
    """The folder `folder`, and the contents kept beside it; one process at a time may write to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.aside = folder / ASIDE
        self._contents = self.aside / "contents"
        self._staged = self.aside / "staged"
        self._gone = self.aside / "gone"

    def begin(self) -> None:
        """Make the folders, and clear away what an earlier process left when it was killed."""
        self._contents.mkdir(parents=True, exist_ok=True)
        for left in (self._staged, self._gone):
            shutil.rmtree(left, ignore_errors=True)
            left.mkdir(exist_ok=True)
        self.part.unlink(missing_ok=True)

    def holds(self, sha256: str, size: int) -> bool:
        """Whether the content is kept."""
        try:
            return bool(sha256) and (self._contents / sha256).stat().st_size == size
        except OSError:
            return False

    def path_of(self, sha256: str) -> Path:
        """Where the content is kept."""
        return self._contents / sha256

    @property
    def part(self) -> Path:
        """Where the next content is written, and to the disk, before it is kept."""
        return self._contents / _PART

    def keep(self, sha256: str) -> None:
        """Keep the content that was written as the `part`."""
        self.part.chmod(0o444)  # a file that is served is never to be overwritten
        self.part.replace(self._contents / sha256)

    def publish(self, files: Mapping[str, str], *, ours: Collection[str]) -> None:
        """Show `files`, the SHA-256 of each by its path, and nothing else of what is `ours`: names in the folder.

        Raises `ConfigurationError` if that would take the place of what is not.
        """
        wanted: dict[str, dict[str, str]] = {}
        for path, sha256 in files.items():
            name, _, rest = path.partition("/")
            wanted.setdefault(name, {})[rest] = sha256
        changed = [name for name, inside in wanted.items() if not self._shows(name, inside)]
        for name in changed:
            if name not in ours and os.path.lexists(self.folder / name):
                raise ConfigurationError(
                    f"{self.folder / name} is there already, and was not fetched; name an empty folder, or remove it"
                )
        for name in changed:
            self._stage(name, wanted[name])
        _sync_tree(self._staged)
        # Folders before files: what the files at the top say of the models is then true. Models that leave, leave last.
        for name in sorted(changed, key=lambda name: "" in wanted[name]):
            self._swap(name)
        for name in set(ours) - wanted.keys():
            self._swap(name)
        _sync(self.folder)
        self.begin()

    def forget(self, kept: Collection[str]) -> None:
        """Remove all contents but those `kept`."""
        for content in self._contents.iterdir():
            if content.name not in kept:
                content.unlink()

    def shows(self, files: Mapping[str, str]) -> bool:
        """Whether all `files` are there, as they were published."""
        return all(self._is_shown(self.folder / path, sha256) for path, sha256 in files.items())

    def _shows(self, name: str, inside: Mapping[str, str]) -> bool:
        """Whether `name` is there, and holds these files and no others."""
        place = self.folder / name
        there = {""} if place.is_file() else set(_files_in(place))
        return there == set(inside) and all(
            self._is_shown(place / rest if rest else place, sha256) for rest, sha256 in inside.items()
        )

    def _is_shown(self, path: Path, sha256: str) -> bool:
        try:
            shown, kept = path.lstat(), self.path_of(sha256).stat()
        except OSError:
            return False
        return (shown.st_size, shown.st_mtime_ns) == (kept.st_size, kept.st_mtime_ns)

    def _stage(self, name: str, inside: Mapping[str, str]) -> None:
        for rest, sha256 in inside.items():
            place = self._staged / name / rest if rest else self._staged / name
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                place.hardlink_to(self.path_of(sha256))
            except FileExistsError:  # the file system does not tell capitals from small letters
                raise ConfigurationError(f"{name}/{rest} is there twice, in capitals and small letters") from None
            except OSError:  # a file system without hard links
                shutil.copy2(self.path_of(sha256), place)

    def _swap(self, name: str) -> None:
        """Put what is staged as `name`, if anything is, into its place."""
        place, staged = self.folder / name, self._staged / name
        if os.path.lexists(place) and not (place.is_file() and staged.is_file()):  # else one takes the other's place
            place.rename(self._gone / name)
        if os.path.lexists(staged):
            staged.replace(place)


def _files_in(folder: Path) -> Iterator[str]:
    for where, _, names in os.walk(folder):
        for name in names:
            yield (Path(where) / name).relative_to(folder).as_posix()


def _sync_tree(folder: Path) -> None:
    for where, _, names in os.walk(folder):
        for path in itertools.chain([Path(where)], (Path(where) / name for name in names)):
            _sync(path)


def _sync(path: Path) -> None:
    """Write a file or a folder to the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
