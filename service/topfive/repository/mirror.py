"""The mirror: a local folder that is kept like a model repository in a store.

What lives here: the order of a refresh, and what is served if it fails. What does not: the stores
(`repository.stores`), fetching (`repository.fetching`), the disk (`repository.published`), and who calls for a refresh
(`models.following`, `process.mirroring`).

All that is read downstream is the folder. A refresh takes in all of the store or nothing: first everything is fetched
and checked, then it is shown, by renames that take milliseconds. So an ensemble's models change together, and the look
at the repository, which believes what two readings find alike, never serves half of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError, NotReady, StoreUnreachable
from topfive.ground.store_urls import StoreUrl
from topfive.repository.checksums import SUMS, check_sums
from topfive.repository.fetching import Fetching, in_mb, size_of
from topfive.repository.mirror_notes import Index, note_failure, note_success, read_index, write_index
from topfive.repository.published import Published
from topfive.repository.stores import Store, StoreFile, checked, open_store

logger = logging.getLogger("topfive")

_RETRY_SECONDS: Final = 5.0
"""How long a start without anything to serve waits before it asks the store again."""
_LOCKED_SECONDS: Final = 0.1
"""How often it is asked whether another process still writes to the folder."""
_NOTED_BYTES: Final = 1 << 20
"""A file of at least this size is noted as soon as it is there, so that it is not fetched again after a kill."""


class Mirror:
    """Keeps the folder `folder` like the store at `url`; its calls block, and one thread at a time may make them.

    `max_bytes`: the most that the repository may hold. `opened`: makes the store when it is first needed.
    """

    def __init__(
        self,
        url: StoreUrl,
        folder: Path,
        *,
        max_bytes: int,
        opened: Callable[[StoreUrl], Store] = open_store,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.folder = folder
        self._max_bytes = max_bytes
        self._opened = opened
        self._now = now
        self._published = Published(folder)
        self._stopped = threading.Event()
        self._opened_store: tuple[Store, Fetching] | None = None
        self._seen: Sequence[StoreFile] | None = None
        self._told = ""

    def stop(self) -> None:
        """Have a call that runs on another thread end soon, and any later one at once, with `NotReady`."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Return false when so many seconds have passed, or true at once after `stop`."""
        return self._stopped.wait(seconds)

    def first(self, *, retry_seconds: float = _RETRY_SECONDS) -> None:
        """Refresh at the start of a service, so that there is something to serve.

        If that fails, but the folder is whole from an earlier run, it is served as it is. If it is not, and the store
        cannot be reached, try again and again. Raises `ConfigurationError`, or `NotReady` after `stop`.
        """
        while True:
            try:
                return self.refresh()
            except (ConfigurationError, StoreUnreachable) as error:
                if self._is_whole():
                    logger.error("served from the mirror in '%s', as it was: %s", self.folder, error)
                    self._told = str(error)
                    return None
                if isinstance(error, ConfigurationError):
                    raise
                logger.warning("the models cannot be fetched yet: %s", error)
            self.wait(retry_seconds)

    def look(self) -> None:
        """Refresh what has settled; an error is logged, once as long as it stays the same. `NotReady` after `stop`."""
        try:
            self.refresh(settled=True)
        except (ConfigurationError, StoreUnreachable) as error:
            if str(error) != self._told:
                logger.error("the models stay as they were: %s", error)
            self._told = str(error)
        else:
            if self._told:
                logger.info("%s is mirrored again", self.url)
            self._told = ""

    def refresh(self, *, settled: bool = False) -> None:
        """Make the folder like the store; if it is `settled`, only once two refreshes in a row find the same there.

        Raises `StoreUnreachable`, or `ConfigurationError` for what must not be shown; the folder is then as it was.
        """
        try:
            with self._alone():
                self._refresh(settled=settled)
                note_success(self.folder)
        except (ConfigurationError, StoreUnreachable):
            note_failure(self.folder)
            raise
        except OSError as error:
            raise ConfigurationError(
                f"the mirror of {self.url} in '{self.folder}' cannot be written ({error.strerror or error}); name a "
                "folder of the service's own as model_cache_dir"
            ) from error

    def _refresh(self, *, settled: bool) -> None:
        store, fetching = self._store()
        files = checked(self.url, store.files(), max_bytes=self._max_bytes)
        if not files:
            raise ConfigurationError(f"{self.url} holds no files, so nothing is changed; is it the right folder?")
        before, self._seen = self._seen, files
        if settled and before is not None and files != before:
            logger.info("%s is being written to, so left to the next look", self.url)
            return
        index = read_index(self.folder)
        if index.url != str(self.url):  # nothing is known of this store, but what is shown is still ours
            index = Index(url=str(self.url), shown=index.shown, coming=index.coming)
        contents = self._fetch(fetching, files, index)
        if index.shown == contents and self._published.shows(contents):
            return
        sums = {path: self._published.path_of(sha256) for path, sha256 in contents.items() if Path(path).name == SUMS}
        check_sums(self.url, sums, contents)
        ours = {path.partition("/")[0] for path in (*index.shown, *index.coming)}
        index.coming = contents
        write_index(self.folder, index)  # whatever a kill leaves from here on, the next refresh knows as ours
        self._published.publish(contents, ours=ours)
        known = {path: noted for path, noted in index.known.items() if path in contents}
        write_index(self.folder, Index(url=str(self.url), known=known, shown=contents))
        self._published.forget(set(contents.values()))
        logger.info("%s is mirrored in '%s': %d files, %s", self.url, self.folder, len(files), in_mb(size_of(files)))

    def _fetch(self, fetching: Fetching, files: Sequence[StoreFile], index: Index) -> dict[str, str]:
        """The SHA-256 of each of `files`, whose contents are all kept then."""
        missing = [file for file in files if not self._published.holds(index.sha256_of(file), file.size)]
        if missing:
            # What a refused change brought, and the store has replaced since, must not fill the disk.
            self._published.forget({*index.shown.values(), *(index.sha256_of(file) for file in files)})

            def fetched(file: StoreFile, sha256: str) -> None:
                index.note(file, sha256)
                if file.size >= _NOTED_BYTES:
                    write_index(self.folder, index)

            try:
                fetching.fetch(missing, fetched)
            finally:
                write_index(self.folder, index)
        return {file.path: index.sha256_of(file) for file in files}

    def _store(self) -> tuple[Store, Fetching]:
        if self._opened_store is None:
            store = self._opened(self.url)
            fetching = Fetching(self.url, store, self._published, stopped=self._stopped, now=self._now)
            self._opened_store = store, fetching
        return self._opened_store

    def _is_whole(self) -> bool:
        """Whether the folder holds what an earlier refresh has shown, so that it can be served without the store."""
        index = read_index(self.folder)
        return index.url == str(self.url) and bool(index.shown) and self._published.shows(index.shown)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Meanwhile no other process writes to the folder: two services on one machine may have one mirror."""
        self._published.aside.mkdir(parents=True, exist_ok=True)
        with (self._published.aside / "lock").open("wb") as lock:
            while not self._stopped.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.wait(_LOCKED_SECONDS)
                else:
                    self._published.begin()
                    yield
                    return
            raise NotReady("the service is about to end, so no more is fetched")


def mirror_folder(cache: Path, url: StoreUrl) -> Path:
    """The folder in `cache` for the mirror of `url`: each has one of its own."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{url.scheme}-{url.place}-{url.path}").strip("-.")[:80]
    return cache / f"{readable}-{hashlib.sha256(str(url).encode()).hexdigest()[:12]}"
