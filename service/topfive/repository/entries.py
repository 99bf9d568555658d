"""Reads one folder: its subfolders and files, which may matter to the repository, and why all else is left out.

Nothing that lies in the folder makes this fail. What does not live here: what the entries mean (`repository.reading`),
and advice about misplaced ones (`repository.misplaced`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MADE_BY_SYSTEMS: Final = frozenset(
    {
        *("lost+found", "__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information"),
        *("thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"),
    }
)
"""Names, in lower case, that file systems, archivers and file browsers leave behind."""
_KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why an entry is left out; `suspect`: whether an operator may have meant it as a part of the repository."""

    reason: str
    suspect: bool


@dataclass(frozen=True, slots=True)
class Entries:
    """A folder's subfolders and regular files, sorted by name, links followed; `left_out` is all else, by name."""

    folders: tuple[str, ...]
    files: tuple[str, ...]
    left_out: Mapping[str, LeftOut]


def read_entries(folder: Path) -> Entries:
    """The entries of `folder`; raises `OSError` if it may not be listed and entered."""
    os.stat(f"{folder}/.")  # noqa: PTH116  # fails if the folder may not be entered; a Path would drop the dot
    folders, files, left_out = [], [], {}
    with os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            kind = _kind(entry)
            if isinstance(kind, LeftOut):
                left_out[entry.name] = kind
            elif kind:
                folders.append(entry.name)
            else:
                files.append(entry.name)
    return Entries(tuple(folders), tuple(files), left_out)


def shown(name: object) -> str:
    """`name` for a message or the log; bytes that are not text are escaped."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")


def reason_of(error: OSError) -> str:
    """The system's text for `error`, without the path."""
    return error.strerror or str(error)


def _kind(entry: os.DirEntry[str]) -> LeftOut | bool:
    """True if `entry` is a folder, False if it is a file, else why it is left out."""
    if entry.name.startswith("."):
        return LeftOut("its name begins with a dot", suspect=False)
    if entry.name.lower() in _MADE_BY_SYSTEMS:
        return LeftOut("a file system, an archiver or a file browser has made it", suspect=False)
    try:
        entry.name.encode("utf-8")
    except UnicodeEncodeError:
        return LeftOut("its name is not UTF-8; rename it", suspect=True)
    try:
        if entry.is_dir():
            return True
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return LeftOut("it is a link that leads nowhere", suspect=True)
    except OSError as error:
        return LeftOut(f"it cannot be looked at ({reason_of(error)})", suspect=True)
    if stat.S_ISREG(mode):
        return False
    kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "no file")
    return LeftOut(f"it is {kind}, neither a folder nor a file", suspect=True)
