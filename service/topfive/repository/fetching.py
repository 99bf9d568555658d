"""Brings the contents that are not here yet from a store, each checked by the digest that the store tells.

What lives here: one file after the other, aside. What does not: which of them are shown (`repository.mirror`).
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from typing import Final

from topfive.ground.errors import ConfigurationError, NotReady, StoreUnreachable
from topfive.ground.store_urls import StoreUrl
from topfive.repository.checksums import Digests
from topfive.repository.published import Published
from topfive.repository.stores import Store, StoreFile

logger = logging.getLogger("topfive")

_TELL_SECONDS: Final = 5.0
"""How often a fetch that goes on is logged."""
_SPARE_BYTES: Final = 64 << 20
"""What is left free on the disk, which logs and other programs need."""


class Fetching:
    """Fetches from `store`, which is at `url`, into `published`; until `stopped` is set."""

    def __init__(
        self, url: StoreUrl, store: Store, published: Published, *, stopped: threading.Event, now: Callable[[], float]
    ) -> None:
        self._url, self._store, self._published = url, store, published
        self._stopped, self._now = stopped, now
        self._tags_are_digests = True
        self._total = self._done = 0
        self._told = 0.0

    def fetch(self, files: Sequence[StoreFile], fetched: Callable[[StoreFile, str], None]) -> None:
        """Fetch `files`; calls `fetched` with each, and its SHA-256, as soon as it is kept."""
        self._total, self._done, self._told = size_of(files), 0, self._now()
        free = shutil.disk_usage(self._published.folder).free
        if free < self._total + _SPARE_BYTES:
            raise ConfigurationError(
                f"{self._url} needs {in_mb(self._total)} more in '{self._published.folder}', where {in_mb(free)} are "
                "free; make room, or set model_cache_dir to a larger disk"
            )
        logger.info("fetching %s from %s", in_mb(self._total), self._url)
        for file in files:
            fetched(file, self._fetched(file))

    def _fetched(self, file: StoreFile) -> str:
        """The SHA-256 of `file`, once it is kept; raises `ConfigurationError` if it is not what the store says."""
        digests = self._received(file)
        if digests.matches is None and self._tags_are_digests:
            # An ETag is no MD5 where the store encrypts with keys of its own. If it were, and the file had come to harm
            # on its way, it would hardly come to the same harm twice.
            self._done -= file.size
            again = self._received(file)
            if again.sha256 == digests.sha256:
                logger.info("%s: its ETags are no MD5, so they cannot be checked", self._url)
                self._tags_are_digests = False
            digests = again
        if digests.matches is False or (digests.matches is None and self._tags_are_digests):
            raise ConfigurationError(
                f"{self._url}: what came as {file.path} has not the digest that the store tells ({file.digest}); it is "
                "damaged, there or on its way, so it is not used; upload it again"
            )
        self._published.keep(digests.sha256)
        return digests.sha256

    def _received(self, file: StoreFile) -> Digests:
        """The digests of what came as `file`, and is written to the disk, aside."""
        digests, size = Digests(file), 0
        with self._published.part.open("wb") as part:
            for data in self._store.read(file):
                if self._stopped.is_set():
                    raise NotReady("the service is about to end, so no more is fetched")
                size += len(data)
                if size > file.size:
                    break
                part.write(data)
                digests.update(data)
                self._count(len(data))
            part.flush()
            os.fsync(part.fileno())
        if size != file.size:
            raise StoreUnreachable(
                f"{self._url}: {file.path} came with another size than the {file.size} bytes that were listed; was it "
                "replaced meanwhile?"
            )
        return digests

    def _count(self, nbytes: int) -> None:
        self._done += nbytes
        if self._now() - self._told >= _TELL_SECONDS:
            self._told = self._now()
            logger.info("fetched %s of %s from %s", in_mb(self._done), in_mb(self._total), self._url)


def size_of(files: Sequence[StoreFile]) -> int:
    """The bytes of all `files`."""
    return sum(file.size for file in files)


def in_mb(nbytes: int) -> str:
    """So many bytes for a message."""
    return f"{nbytes / 1e6:.1f} MB"
