"""Looks at a repository that others write to, until what it holds stands still.

What lives here: when two looks agree. What does not: reading the repository (`repository.reading`), and what becomes of
a change (`models.control`).

Who brings a new version of an ensemble moves the folders of its steps into place one after the other, and a look reads
them one after the other. So one look may find a new preparing graph beside the old classifier, which would give wrong
answers until the next look. What two looks find alike, with a pause between them, is taken for whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from topfive.ground.clock import Clock, sleep
from topfive.ground.errors import ConfigurationError
from topfive.repository.reading import Repository, StoredModel

Found = Mapping[str, StoredModel | ConfigurationError]
"""What a look found, by the model's name: the model, or why it cannot be read."""

SETTLE_SECONDS: Final = 0.5
"""The pause that a service makes: moving folders takes milliseconds, and a new version can wait so long."""
_LOOKS: Final = 5
"""The most looks at once; what has not stood still by then is left to the next time."""


class Settling:
    """Looks at `repository`, which one task at a time may ask for, with pauses of `seconds`, 0 for none."""

    def __init__(self, repository: Repository, *, clock: Clock, seconds: float) -> None:
        self._repository = repository
        self._clock = clock
        self._seconds = seconds
        self._seen: Found | None = None

    async def survey(self, stored: Mapping[str, StoredModel]) -> tuple[Found, set[str]]:
        """What the repository holds, and the names of models of which two looks did not find the same.

        There is one look if it finds what is `stored`, or nothing but what the last look found. Raises
        `ConfigurationError` as `Repository.survey`.
        """
        found = await self._look(stored)
        before = stored if self._seen is None else self._seen
        for _ in range(_LOOKS - 1):
            if found == stored or not _differing(found, before):
                break
            if self._seconds:
                await sleep(self._clock, self._seconds)
            before, found = found, await self._look(stored)
        self._seen = found
        return found, set() if found == stored else _differing(found, before)

    async def _look(self, stored: Mapping[str, StoredModel]) -> Found:
        return await asyncio.to_thread(self._repository.survey, known=tuple(stored), may_be_empty=True)


def _differing(found: Found, before: Found) -> set[str]:
    return {name for name in {*found, *before} if not _same(found.get(name), before.get(name))}


def _same(one: StoredModel | ConfigurationError | None, other: StoredModel | ConfigurationError | None) -> bool:
    if isinstance(one, ConfigurationError) and isinstance(other, ConfigurationError):
        return str(one) == str(other)
    return one == other
