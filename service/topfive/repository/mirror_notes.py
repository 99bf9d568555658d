"""What a mirror writes down about itself, beside its contents: what is fetched and shown, and when it last looked.

What lives here: the files and their formats. What does not: what follows from them (`repository.mirror`).
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from topfive.repository.published import ASIDE
from topfive.repository.stores import StoreFile

_INDEX: Final = "index.json"
_LOOKED, _FAILED = "looked", "failed"
"""The time of the first is that of the last success; the second has a byte for each failure since. So other processes
learn both by `stat`, which cannot see them half written."""


@dataclass(slots=True)
class Index:
    """`shown`, and what is `coming` in its place, which is shown in part if the process was killed: SHA-256 by path.

    `known`: of each path, what the store told of the file that was fetched, and its SHA-256. `url`: the store.
    """

    url: str = ""
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    coming: dict[str, str] = field(default_factory=dict)

    def sha256_of(self, file: StoreFile) -> str:
        """The SHA-256 of `file`, as far as it is known without fetching it; empty if it is not."""
        if file.kind == "sha256":
            return file.digest
        sha256: str = self.known.get(file.path, {}).get("sha256", "")
        return sha256 if sha256 and self.known[file.path] == _noted(file, sha256) else ""

    def note(self, file: StoreFile, sha256: str) -> None:
        """Know the content of `file` from now on."""
        self.known[file.path] = _noted(file, sha256)


def read_index(folder: Path) -> Index:
    """What was noted in the mirror in `folder`; nothing, if it cannot be read: then all is fetched once more."""
    try:
        found = json.loads((folder / ASIDE / _INDEX).read_bytes())
        return Index(**found)
    except (OSError, ValueError, TypeError):
        return Index()


def write_index(folder: Path, index: Index) -> None:
    """Note `index`; a reader finds either it or the one before."""
    place = folder / ASIDE / _INDEX
    aside = place.with_suffix(".new")
    with aside.open("w") as file:
        json.dump(asdict(index), file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(place)


def note_success(folder: Path) -> None:
    """Note that a refresh has succeeded now."""
    (folder / ASIDE / _FAILED).write_bytes(b"")
    (folder / ASIDE / _LOOKED).touch()


def note_failure(folder: Path) -> None:
    """Note that a refresh has failed, as far as that can be written."""
    with contextlib.suppress(OSError), (folder / ASIDE / _FAILED).open("ab") as failed:
        failed.write(b".")


def read_looks(folder: Path) -> tuple[float, int]:
    """The Unix time of the last refresh that succeeded, 0 if none has; and how many have failed since."""

    def status(name: str) -> os.stat_result | None:
        with contextlib.suppress(FileNotFoundError):
            return (folder / ASIDE / name).stat()
        return None

    looked, failed = status(_LOOKED), status(_FAILED)
    return looked.st_mtime if looked else 0.0, failed.st_size if failed else 0


def _noted(file: StoreFile, sha256: str) -> dict[str, Any]:
    return {"digest": file.digest, "size": file.size, "sha256": sha256}
