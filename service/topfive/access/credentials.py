"""API keys and the TLS certificate of the process, kept as their files are: they change more often than it restarts.

What lives here: which are in force, and when their files are looked at. What does not: what is in them (`api_keys`,
`tls`), how a change is found (`file_watch`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from topfive.access.api_keys import ApiKeys, read_api_keys
from topfive.access.certificates import Certificate
from topfive.config.settings import Settings
from topfive.ground.clock import Alarm, Clock
from topfive.machine.file_watch import FileWatch

logger = logging.getLogger("topfive")

_READ_SECONDS: Final = 5.0
"""How old what is in force may be."""


class Credentials:
    """What `settings` name, None where they name none; raises `ConfigurationError` for a file that cannot be used."""

    keys: ApiKeys | None = None

    def __init__(self, settings: Settings) -> None:
        self._files: list[FileWatch] = []
        self._told = False
        self._now = asyncio.Event()
        if (path := settings.api_keys_file) is not None:
            keys = self.keys = ApiKeys(read_api_keys(path))
            self._files.append(FileWatch("API keys", [path], lambda: keys.replace(read_api_keys(path))))
        self.certificate = Certificate.of(settings)
        if self.certificate is not None:
            self._files.append(FileWatch("TLS files", self.certificate.paths, self.certificate.read))

    def reload(self) -> None:
        """Look at the files now rather than soon."""
        logger.info("told to read again what may have changed")
        self._told = True
        self._now.set()

    async def keep_current(self, clock: Clock, *, when_told: Callable[[], Awaitable[object]]) -> None:
        """Look at the files every few seconds, and after `reload`, when `when_told` is awaited too, at once; for ever.

        Without files and without being told it sleeps.
        """
        alarm = Alarm(clock)
        try:
            while True:
                if self._files:
                    alarm.set(clock.now() + _READ_SECONDS, self._now.set)
                await self._now.wait()
                self._now.clear()
                told, self._told = self._told, False
                for file in self._files:
                    await asyncio.to_thread(file.look)
                if told:
                    await when_told()
        finally:
            alarm.set(math.inf, self._now.set)
