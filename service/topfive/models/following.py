"""Follows a store: before the repository is read, its folder is made like the store that it mirrors.

What lives here: the thread on which that waits for the store, while the event loop goes on. What does not: the mirror
(`repository.mirror`), and what becomes of a change (`models.control`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from topfive.machine.workers import WorkerPool
from topfive.repository.mirror import Mirror
from topfive.repository.reading import StoredModel


class Following:
    """Brings `mirror` up to date; `read` reads the folder when that was done for the first time."""

    def __init__(self, mirror: Mirror, read: Callable[[], Mapping[str, StoredModel]]) -> None:
        self._mirror = mirror
        self._read = read
        self._pool: WorkerPool | None = None

    async def first(self) -> Mapping[str, StoredModel]:
        """The models to begin with; raises `ConfigurationError`, or `NotReady` after `stop`."""
        await self._run(self._mirror.first)
        return await asyncio.to_thread(self._read)

    async def look(self) -> None:
        """Take in what has changed in the store; errors are logged. Raises `NotReady` after `stop`."""
        await self._run(self._mirror.look)

    async def refresh(self) -> None:
        """Take in what is in the store now; raises `ConfigurationError`, or `NotReady` if it cannot be reached."""
        await self._run(self._mirror.refresh)

    def stop(self) -> None:
        """End what runs, soon, and do nothing more."""
        self._mirror.stop()

    def close(self, *, timeout_seconds: float) -> bool:
        """End the thread; returns whether it ended in time."""
        return self._pool is None or self._pool.close(timeout_seconds=timeout_seconds)

    async def _run(self, call: Callable[[], None]) -> None:
        if self._pool is None:
            self._pool = WorkerPool(threads=1, name="store")
        await self._pool.run(call)
