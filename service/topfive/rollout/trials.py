"""The trials of a process: between the doors and the classifier, they choose the version that answers a request.

What lives here: which version a request finds, the second try of a request that the canary has failed, and who is told
of its end. What does not: the rules themselves (`rollout.canary`, `rollout.shadow`).

While a version is on trial, requests that name no version are answered by the highest version that is *not* on trial.
A request that names a version gets that one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar

from topfive.ground.clock import Clock
from topfive.ground.errors import ClientDisconnected, QuotaExceeded, RateLimited, TopfiveError, UnknownModel
from topfive.ground.statuses import http_status
from topfive.models.served import Models, ServedModel
from topfive.request.admission import Entry
from topfive.request.classifier import Announced, Asked, Classification, Classifier, Door
from topfive.rollout.canary import CANARY, LIVE, Canary
from topfive.rollout.shadow import Shadow
from topfive.rollout.targets import COPIED

logger = logging.getLogger("topfive")

_INTERNAL: Final = 500
_TRIED_AGAIN: Final = frozenset((429, 500, 503, 504))
"""What the canary may come to that the live version might not: its own failure, or its own queue's."""
_THE_SAME_AGAIN: Final = (ClientDisconnected, RateLimited, QuotaExceeded)

A = TypeVar("A", bound=Asked)


class Asker(Protocol):
    """A request, as far as trials need to know it. `arm`: who is to answer it, None if no canary takes part."""

    request_id: str
    arm: str | None

    def header(self, name: str) -> bytes | None:
        """The value of a header, None if it has none; `name` in lower case."""


@dataclass(frozen=True, slots=True)
class Trials:
    """What is on trial in this process: a `canary`, a `shadow`, both or nothing. `canary_header`: what it goes by.

    `models` and `classifier` raise `NotReady` until the service is ready for them.
    """

    clock: Clock
    models: Callable[[], Models]
    classifier: Callable[[], Classifier]
    canary: Canary | None = None
    shadow: Shadow | None = None
    canary_header: str = ""

    def find(self, name: str | None, version: int | None, asker: Asker) -> ServedModel:
        """The model that is to answer a request that asks for `name` and `version`; raises `UnknownModel`."""
        if version is not None:
            return self.models().find(name, version)
        live = self.live(name)
        canary = self.canary
        if canary is None or canary.rule.model != live.name or live.version == canary.rule.version:
            return live
        asker.arm = LIVE
        if not canary.takes(self._key(asker)):
            return live
        try:
            tried = self.models().find(live.name, canary.rule.version)
        except UnknownModel:
            canary.found(served=False)
            return live
        canary.found(served=True)
        asker.arm = CANARY
        return tried

    def live(self, name: str | None) -> ServedModel:
        """The model `name` in its live version: the highest that is not on trial, or the highest if all are."""
        highest = self.models().find(name)
        on_trial = self._on_trial(highest.name)
        return self.models().find(highest.name, but=on_trial) if on_trial else highest

    async def answer(self, announced: Announced, door: Door[A], asker: Asker) -> tuple[A, Classification]:
        """What the classifier answers; of a request that the canary has failed, what the live version answers then."""
        classifier = self.classifier()
        try:
            if asker.arm is None:
                asked, result = await classifier.answer(announced, door)
            elif asker.arm == LIVE:
                asked, result = await self._counted(LIVE, classifier.answer(announced, door))
            else:
                asked, result = await self._by_canary(classifier, announced, door, asker)
            if self.shadow is not None and asker.arm != CANARY and asker.header(COPIED) is None:
                self.shadow.saw(asked, result, asker.request_id)
            return asked, result
        finally:
            if self.shadow is not None:
                self.shadow.ended()

    def review(self) -> None:
        """Judge the canary, and set gauges; call it about once a second."""
        if self.canary is not None:
            self.canary.review()
        if self.shadow is not None:
            self.shadow.publish()

    async def close(self, *, seconds: float) -> None:
        """Let the shadow end."""
        if self.shadow is not None:
            await self.shadow.close(seconds=seconds)

    def _on_trial(self, model: str) -> set[int]:
        """The versions of `model` that are on trial."""
        tried = set()
        if self.canary is not None and self.canary.rule.model == model:
            tried.add(self.canary.rule.version)
        if self.shadow is not None and self.shadow.rule.name == model and self.shadow.rule.version is not None:
            tried.add(self.shadow.rule.version)
        return tried

    def _key(self, asker: Asker) -> bytes:
        given = asker.header(self.canary_header) if self.canary_header else None
        return asker.request_id.encode() if given is None else given

    async def _by_canary(
        self, classifier: Classifier, announced: Announced, door: Door[A], asker: Asker
    ) -> tuple[A, Classification]:
        """Let the canary answer; if it fails the request, and the time is not over, let the live version answer it.

        The body is not received again: it is charged again, in the same turn of the loop in which it was given back.
        """
        watched = _Watched(door)
        try:
            return await self._counted(CANARY, classifier.answer(announced, watched))
        except Exception as error:
            if watched.is_partly_here or not self._may_try_again(error, announced):
                raise
            logger.warning("request %s is answered by the live version: the canary failed: %s", asker.request_id, error)
        assert self.canary is not None
        live = self.live(announced.model.name)
        self.canary.retried()
        asker.arm = LIVE
        again = watched if watched.nbytes is None else _Again(watched)
        return await classifier.answer(replace(announced, model=live), again)

    def _may_try_again(self, error: Exception, announced: Announced) -> bool:
        if isinstance(error, _THE_SAME_AGAIN) or self.clock.now() >= announced.deadline():
            return False
        return _status_of(error) in _TRIED_AGAIN

    async def _counted(self, arm: str, answering: Awaitable[tuple[A, Classification]]) -> tuple[A, Classification]:
        assert self.canary is not None
        try:
            asked, result = await answering
        except Exception as error:
            self.canary.count(arm, _status_of(error), None)
            raise
        self.canary.count(arm, 200, None if result.has_hits else result.timings)  # both caches are not as full
        return asked, result


class _Watched:
    """A door that remembers what was charged for its body, and what was asked, for a second try."""

    def __init__(self, door: Door[Any]) -> None:
        self._door = door
        self._begun = False
        self.nbytes: int | None = None
        """The bytes that are held of the body; None while it is not whole."""
        self.asked: Any = None
        self.is_abandoned: Callable[[], bool] = door.is_abandoned
        self.is_light: Callable[[], bool] = door.is_light

    @property
    def is_partly_here(self) -> bool:
        """Whether the body broke off: what has come of it is gone."""
        return self._begun and self.nbytes is None

    async def receive(self, entry: Entry) -> None:
        self._begun = True
        await self._door.receive(entry)
        self.nbytes = entry.nbytes

    def understand(self) -> Any:
        self.asked = self._door.understand()
        return self.asked


class _Again:
    """The same request a second time: its body is here, and what it asks for is the same for all versions."""

    def __init__(self, first: _Watched) -> None:
        self._first = first
        self.is_abandoned = first.is_abandoned

    async def receive(self, entry: Entry) -> None:
        assert self._first.nbytes is not None
        entry.charge(self._first.nbytes)

    def is_light(self) -> bool:
        return self._first.asked is not None or self._first.is_light()

    def understand(self) -> Any:
        return self._first.asked if self._first.asked is not None else self._first.understand()


def _status_of(error: Exception) -> int:
    return http_status(error) if isinstance(error, TopfiveError) else _INTERNAL
