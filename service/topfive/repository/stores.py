"""What every store of model repositories offers: a list of its files, and their bytes.

What lives here: the interface, the bounds that hold for all stores, and which module speaks to which. What does not:
the libraries, of which each is imported in one module only, and the copy on disk (`repository.mirror`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from topfive.config.environment import set_if_unset
from topfive.ground.errors import ConfigurationError
from topfive.ground.store_urls import StoreUrl

Kind = Literal["sha256", "git", "etag"]
"""How a store digests a file: SHA-256; SHA-1 with git's head; an ETag, which often is the MD5, but need not be."""

TIMEOUT_SECONDS: Final = 30.0
"""How long a store may be silent, for each request."""
CHUNK_BYTES: Final = 8 << 20
"""What is read at once: large enough that a request for each costs little, and small enough to be given up soon."""
_MAX_FILES: Final = 10_000
"""A model has three files or so. What holds more is most likely the wrong folder: a data set, say."""
_MAX_NAME_BYTES: Final = 255
"""Of one part of a path, on every usual file system."""


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file of the repository: its path, with slashes, its size, and the `digest` that the store tells, of its `kind`.

    While the digest is the same, so is the content. `source` is how the store itself names the file.
    """

    path: str
    size: int
    kind: Kind
    digest: str
    source: str


class Store(Protocol):
    """A store; both calls raise `StoreUnreachable` for what may pass, `ConfigurationError` for what will not."""

    def files(self) -> Sequence[StoreFile]:
        """All files."""

    def read(self, file: StoreFile) -> Iterator[bytes]:
        """The bytes of `file` as it was listed."""


def open_store(url: StoreUrl) -> Store:
    """The store of `url`, not yet asked; raises `ConfigurationError` if its library is not installed."""
    try:
        match url.scheme:
            case "s3" | "gs":
                from topfive.repository.bucket import Bucket

                return Bucket(url)
            case "hf":
                set_if_unset({"HF_HUB_DISABLE_TELEMETRY": "1"})  # read when the library is imported
                from topfive.repository.hub import Hub

                return Hub(url)
            case "oci":
                from topfive.repository.registry import Registry

                return Registry(url)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{url}: {url.scheme}:// needs the extra `stores`: pip install 'topfive[stores]' (there is no module "
            f"'{error.name}')"
        ) from error


def checked(url: StoreUrl, found: Iterable[StoreFile], *, max_bytes: int) -> list[StoreFile]:
    """The files `found`, by path, without those of which a part of the path begins with a dot: nobody looks at them.

    Raises `ConfigurationError`, which names it, if one cannot lie in a folder, or if they are too many or too large.
    """
    files: dict[str, StoreFile] = {}
    total = 0
    for file in found:
        parts = file.path.split("/")
        if why := next((why for part in parts if (why := _why_no_name(part))), ""):
            raise ConfigurationError(f"{url}: the name {file.path!r} {why}; rename it there")
        if any(part.startswith(".") for part in parts):
            continue
        if file.path in files:
            raise ConfigurationError(f"{url}: the name {file.path!r} is there twice; remove one")
        files[file.path] = file
        total += file.size
        if len(files) > _MAX_FILES:
            raise ConfigurationError(f"{url} holds more than {_MAX_FILES} files; name the folder of the models alone")
        if total > max_bytes:
            raise ConfigurationError(
                f"{url} holds more than {max_bytes} bytes; name the folder of the models alone, or raise "
                "model_cache_bytes"
            )
    for path in files:
        for at, character in enumerate(path):
            if character == "/" and path[:at] in files:
                raise ConfigurationError(f"{url}: {path[:at]!r} is both a file and a folder; rename one there")
    return [files[path] for path in sorted(files)]


def _why_no_name(part: str) -> str:
    if part in ("", "..", "."):
        return "has a part that is empty, '.' or '..'"
    if not part.isprintable() or "\\" in part:
        return "has a character that is not printable, or a backslash"
    try:
        return "has a part that is too long" if len(part.encode()) > _MAX_NAME_BYTES else ""
    except UnicodeEncodeError:
        return "is no text in UTF-8"


def hush(*libraries: str) -> None:
    """Let the loggers of `libraries` only warn: they log the address of each request, which is often signed."""
    for name in libraries:
        logging.getLogger(name).setLevel(logging.WARNING)


def may_pass(status: int) -> bool:
    """Whether a store that answered with the HTTP `status` may answer otherwise later: it is busy, or has failed."""
    return status in (408, 425, 429) or status >= 500
