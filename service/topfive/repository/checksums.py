"""Whether a fetched file is the one that was meant: by what its store says of it, and by files of checksums.

What lives here: digests of one file while it is fetched, and the format of `SHA256SUMS`, as `sha256sum` writes it. What
does not: what follows from a difference (`repository.mirror`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive.repository.config_text import decoded
from topfive.repository.stores import StoreFile

SUMS: Final = "SHA256SUMS"
_MAX_BYTES: Final = 4 << 20
"""Ten thousand lines have 1 or 2 MB."""
_LINE: Final = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+)")
_VERSION: Final = re.compile(r"[^/]+/\d+/")
_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?')


class Digests:
    """The digests of `file`, whose bytes are told as they come."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._other = hashlib.sha1(usedforsecurity=False) if file.kind == "git" else hashlib.md5(usedforsecurity=False)
        if file.kind == "git":
            self._other.update(b"blob %d\0" % file.size)

    def update(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._sha256.update(data)
        if self._file.kind != "sha256":
            self._other.update(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 of all that came."""
        return self._sha256.hexdigest()

    @property
    def matches(self) -> bool | None:
        """Whether the store's digest is that of what came; None if an ETag differs, which need not be a digest."""
        if self._file.kind == "sha256":
            return self._file.digest == self.sha256
        if self._file.kind == "git":
            return self._file.digest == self._other.hexdigest()
        tag = _MD5.fullmatch(self._file.digest)
        return tag is None or tag[1] == self._other.hexdigest() or None


def check_sums(url: object, sums: Mapping[str, Path], found: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` unless the files are those of all `sums`, files of checksums by path.

    `found`: the SHA-256 of each file, by path. What lies in the folder of a version, below a file of checksums, must be
    named: so a version that is on its way is not taken before the checksums that come last.
    """
    named: set[str] = set()
    for path, file in sums.items():
        read = _read(url, path, file)
        named |= read.keys()
        for name, wanted in read.items():
            if name not in found:
                raise ConfigurationError(
                    f"{url}: {path} names {name}, which is not there; upload it, or write {path} anew"
                )
            if found[name] != wanted:
                raise ConfigurationError(
                    f"{url}: {name} is not the file that {path} names: its SHA-256 is {found[name]}, and not {wanted}; "
                    f"upload it again, or write {path} anew"
                )

    for path in sums:
        below = f"{dirname(path)}/".lstrip("/")
        for name in sorted(found.keys() - named):
            if name.startswith(below) and _VERSION.match(name):
                raise ConfigurationError(f"{url}: {name} is not named in {path}; upload {path} anew, after all others")


def _read(url: object, path: str, file: Path) -> dict[str, str]:
    """The SHA-256 of each file that a file of checksums names, relative to its own folder."""
    if file.stat().st_size > _MAX_BYTES:
        raise ConfigurationError(f"{url}: {path} is longer than {_MAX_BYTES >> 20} MiB; is it a file of checksums?")
    named = {}
    for number, line in enumerate(decoded(file.read_bytes(), Path(path)).splitlines(), 1):
        if not line.strip():
            continue
        if (read := _LINE.fullmatch(line)) is None:
            raise ConfigurationError(
                f"{url}: {path}: line {number} is no checksum and name, as `sha256sum` writes them"
            )
        named[normpath(join(dirname(path), read[2]))] = read[1].lower()
    return named
