"""The upkeep of a service's models: loads them at its start, then checks their backends and polls until it stops.

What lives here: which errors are tried again and which end the process, and how the service's state follows the
backend's. What does not: loading (`models.loading`), changes (`models.control`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from topfive.backends.base import BackendFactory
from topfive.ground.clock import Clock, sleep
from topfive.ground.errors import BackendUnreachable, NotReady
from topfive.ground.lifecycle import Lifecycle, State
from topfive.models.control import ModelControl
from topfive.models.following import Following
from topfive.models.live import LiveModels
from topfive.models.loading import Loader
from topfive.repository.reading import StoredModel

logger = logging.getLogger("topfive")

_CHECK_SECONDS: Final = 1.0
"""How often each model's backend is checked, in seconds."""


class Upkeep:
    """Loads the stored models, then checks backends and polls the repository; calls `fail` with an error that is fatal.

    `following` brings the models first, if they come from a store. `poll_seconds`: how often the repository is looked
    at; None if it is not polled.
    """

    def __init__(
        self,
        *,
        factory: BackendFactory,
        control: ModelControl,
        live: LiveModels,
        following: Following | None = None,
        lifecycle: Lifecycle,
        clock: Clock,
        poll_seconds: float | None,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._factory = factory
        self._control = control
        self._live = live
        self._following = following
        self._lifecycle = lifecycle
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._fail = fail
        self.loading: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, loader: Loader, stored: Mapping[str, StoredModel]) -> None:
        """Begin to load the `stored` models."""
        self.loading = self._begin(self._load(loader, stored))

    async def stop(self) -> None:
        """End loading, checking and polling."""
        if self._following is not None:
            self._following.stop()
        for task in list(self._tasks):
            task.cancel()
            await asyncio.wait([task])

    @property
    def left_behind(self) -> bool:
        """Whether, after `stop`, a thread still waits for a store."""
        return self._following is not None and not self._following.close(timeout_seconds=0)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.append(task)
        return task

    async def _load(self, loader: Loader, stored: Mapping[str, StoredModel]) -> None:
        try:
            await self._load_first(loader, stored if self._following is None else await self._following.first())
        except NotReady as error:  # the service was told to stop before its models were warm
            logger.info("the models are not loaded: %s", error)
        except Exception as error:  # noqa: BLE001  # any error: the process must report it and end, not stay unready
            self._fail(error)
        else:
            if self._lifecycle.state is State.STARTING:
                self._lifecycle.enter(State.READY)
            self._begin(self._keep_checking())
            if self._poll_seconds is not None:
                self._begin(self._control.keep_polling(self._clock, self._poll_seconds))

    async def _load_first(self, loader: Loader, stored: Mapping[str, StoredModel]) -> None:
        """Load the stored models as soon as the backend can be reached."""
        while True:
            await self._factory.wait_until_reachable()
            try:
                return await self._control.start(loader, stored)
            except BackendUnreachable as error:
                logger.warning("the models are not loaded yet: %s", error)
                await sleep(self._clock, _CHECK_SECONDS)

    async def _keep_checking(self) -> None:
        """Check the backends every second; be READY only while every one can be reached."""
        try:
            while True:
                await sleep(self._clock, _CHECK_SECONDS)
                reason = await self._live.check_backends()
                if reason is None and self._lifecycle.state is State.UNREACHABLE:
                    self._lifecycle.enter(State.READY)
                elif reason is not None and self._lifecycle.state is State.READY:
                    logger.error("requests are refused for now: %s", reason)
                    self._lifecycle.enter(State.UNREACHABLE)
        except Exception as error:  # noqa: BLE001  # a service whose backends are not checked must not go on
            self._fail(error)
