"""The credentials of the process, API keys and TLS certificate, read again when their files change, without a restart.

What lives here: which credentials are in force, and when their files are checked. What does not: their contents
(`access.api_keys`, `access.certificates`), how a change is found (`machine.file_watch`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from topfive.access.api_keys import ApiKeys
from topfive.access.certificates import Certificate
from topfive.access.key_file import read_key_file
from topfive.access.tenants import Tenant, Tenants
from topfive.config.settings import Settings
from topfive.ground.clock import Alarm, Clock
from topfive.machine.file_watch import FileWatch

logger = logging.getLogger("topfive")

_READ_SECONDS: Final = 5.0
"""How often the files are checked, in seconds."""


class Credentials:
    """The API keys and certificate that `settings` name, or None; raises `ConfigurationError` for an unusable file.

    `tenants`: those who hold the keys.
    """

    keys: ApiKeys | None = None

    def __init__(self, settings: Settings, tenants: Tenants | None = None) -> None:
        self.tenants = tenants or Tenants()
        self._files: list[FileWatch] = []
        self._told = False
        self._now = asyncio.Event()
        if (path := settings.api_keys_file) is not None:
            keys = self.keys = ApiKeys(self._holders(path))
            self._files.append(FileWatch("API keys", [path], lambda: keys.replace(self._holders(path))))
        self.certificate = Certificate.of(settings)
        if self.certificate is not None:
            self._files.append(FileWatch("TLS files", self.certificate.paths, self.certificate.read))

    def reload(self) -> None:
        """Have `keep_current` check the files now."""
        logger.info("told to read again what may have changed")
        self._told = True
        self._now.set()

    def _holders(self, path: Path) -> Mapping[str, Tenant]:
        said = read_key_file(path)
        tenants = self.tenants.replace(said.limits)
        return {key: tenants[name] for key, name in said.holders.items()}

    async def keep_current(self, clock: Clock, *, when_told: Callable[[], Awaitable[object]]) -> None:
        """Check the files every few seconds, and at once after `reload`; then also await `when_told`. Never returns.

        Without files it sleeps until `reload`.
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
