"""Model control: changes models without a restart, by request or by polling the repository.

What lives here: which changes are allowed, and what is known of every model, with the reason if it is not served. What
does not: loading and the swap (`models.live`), and what can be served together (`models.wiring`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from topfive.ground.clock import Clock, sleep
from topfive.ground.errors import BackendUnreachable, ConfigurationError, NotReady, UnknownModel, Unsupported
from topfive.ground.lifecycle import Lifecycle
from topfive.models.following import Following
from topfive.models.index import IndexEntry, ModelState
from topfive.models.live import LiveModels
from topfive.models.loading import Loader
from topfive.models.settling import Settling
from topfive.models.wiring import related
from topfive.repository.reading import Repository, StoredModel

logger = logging.getLogger("topfive")

Mode = Literal["none", "explicit", "poll"]

_UNLOADED: Final = "unloaded"
_ENDING: Final = "it answers the requests that have found it, and ends then"


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a model is not served as it is in the repository, and the versions of it that should be served, if known."""

    reason: str
    versions: tuple[int, ...]


class ModelControl:
    """Loads models into `live` and unloads them, while other models are served.

    `following`: what makes the repository's folder like the store that it mirrors; None if there is none.
    """

    def __init__(
        self,
        *,
        mode: Mode,
        repository: Repository,
        settling: Settling,
        lifecycle: Lifecycle,
        live: LiveModels,
        following: Following | None = None,
    ) -> None:
        self._mode, self._repository, self._settling = mode, repository, settling
        self._lifecycle, self._live = lifecycle, live
        self._following = following
        self._loader: Loader | None = None
        self._lock = asyncio.Lock()
        self._refused: dict[str, _Refused] = {}
        self._unreadable: str | None = None

    async def start(self, loader: Loader, stored: Mapping[str, StoredModel]) -> None:
        """Load all `stored` models; raises `ConfigurationError` if one cannot be served.

        Also raises it if the default model is not among them and cannot be loaded later.
        """
        self._loader = loader
        async with self._lock:
            await self._live.change(loader, stored)
            if self._mode == "poll":
                await self._follow(loader)  # what was `stored` may have been read in the midst of a change
        amiss = self._live.current.why_no_default() if self._live.current is not None else None
        if amiss is not None and self._mode == "none":
            raise ConfigurationError(amiss)
        if amiss is not None:
            logger.warning("%s", amiss)

    async def load(self, name: str) -> None:
        """Serve the model `name`, and the steps of an ensemble, as they are in the repository now.

        If that fails, their present versions stay served. Raises `UnknownModel`, `ConfigurationError`, `NotReady`, or
        `Unsupported` unless the mode is "explicit".
        """
        loader = self._loader_on_request()
        async with self._lock:
            self._check_ready()
            if self._following is not None:
                await self._following.refresh()
            found = await self._read(name)
            self._live.retry(found)
            await self._change(loader, found)

    async def unload(self, name: str, *, unload_dependents: bool = False) -> None:
        """Stop serving the model `name`; with `unload_dependents`, also the steps that no other ensemble has.

        Requests that have found it are still answered. Raises `UnknownModel`, `NotReady`, or `Unsupported` if an
        ensemble that stays has it as a step, or unless the mode is "explicit".
        """
        loader = self._loader_on_request()
        async with self._lock:
            self._check_ready()
            stored = self._live.stored
            if name not in stored:
                if name not in self._refused:
                    raise UnknownModel(f"there is no model '{name[:100]}' to unload")
                return
            users = [user for user, model in stored.items() if name in _steps(model)]
            if users:
                raise Unsupported(
                    f"model '{name}' is a step of the ensemble '{users[0]}', which is served; unload that first"
                )
            leaving = {name}
            if unload_dependents:
                others = [_steps(model) for other, model in stored.items() if other != name]
                leaving |= _steps(stored[name]) - set().union(*others)
            await self._change(loader, dict.fromkeys(leaving))

    def index(self, *, ready: bool | None = None) -> list[IndexEntry]:
        """The index: what is known of every model, by name and version; with `ready`, only what is served.

        A model that only prepares images is READY while an ensemble of which it is a step is served. Raises `NotReady`
        until the first models are served.
        """
        live = self._live
        if live.current is None:
            raise NotReady("the service is starting: its models are not warm yet; retry shortly")
        states: dict[tuple[str, int], tuple[ModelState, str]] = {}
        for name, refused in self._refused.items():
            for version in refused.versions or (() if name in live.stored else (0,)):
                states[name, version] = (ModelState.UNAVAILABLE, refused.reason)
        states.update(dict.fromkeys(live.retiring, (ModelState.UNLOADING, _ENDING)))
        if live.loading is not None:
            states[live.loading] = (ModelState.LOADING, "")
        for name, version in live.units:
            known = self._refused.get(name)
            states[name, version] = (ModelState.READY, known.reason if known else "")
        return [
            IndexEntry(name, str(version or ""), state, reason)
            for (name, version), (state, reason) in sorted(states.items())
            if state is ModelState.READY or not ready
        ]

    async def keep_polling(self, clock: Clock, seconds: float) -> None:
        """Look at the repository every `seconds`, until the service stops."""
        while True:
            await sleep(clock, seconds)
            if not await self.look():
                return

    async def look(self) -> bool:
        """Look at the repository once, if it is polled; false if the service stops, so that this was the last look.

        Errors are logged, not raised, because polling must go on.
        """
        if self._mode != "poll":
            return True
        try:
            if self._following is not None:
                await self._following.look()
            await self.poll()
        except BackendUnreachable as error:
            logger.warning("the models stay as they were: %s", error)
        except NotReady:
            return False
        except Exception as error:  # see docstring
            logger.error("the look at the model repository failed", exc_info=error)
        return True

    async def poll(self) -> None:
        """Serve the repository as it is now; a model that cannot be served so stays as it was.

        Models that an ensemble joins change together, once all of them stand still; other models change by themselves,
        so that one broken model holds up no other. A removed model is unloaded, unless an ensemble still needs it.
        """
        async with self._lock:
            if self._loader is not None and self._lifecycle.started:
                await self._follow(self._loader)

    async def _follow(self, loader: Loader) -> None:
        stored = self._live.stored
        try:
            found, moving = await self._settling.survey(stored)
        except ConfigurationError as error:
            self._refuse(dict.fromkeys(stored), error)
            if not stored and self._unreadable != str(error):
                logger.error("no model is served: %s", error)
            self._unreadable = str(error)
            return
        self._unreadable = None
        wanted = {name: found.get(name) for name in (*found, *stored)}
        changed = {name: model for name, model in wanted.items() if model != stored.get(name)}
        self._refused = {name: refused for name, refused in self._refused.items() if name in changed}
        readable = {name: model for name, model in found.items() if isinstance(model, StoredModel)}
        for group in related(stored, readable, {*changed, *moving}):
            if group & moving:
                logger.info("%s: still being written, so left to the next look", ", ".join(sorted(group)))
            else:
                await self._try(loader, {name: changed[name] for name in sorted(group)})

    async def _try(self, loader: Loader, changes: Mapping[str, StoredModel | ConfigurationError | None]) -> None:
        """Make `changes`, or log and keep the reason why not."""
        readable: dict[str, StoredModel | None] = {}
        for name, model in changes.items():
            if isinstance(model, ConfigurationError):
                self._refuse(changes, model)
                return
            readable[name] = model
        try:
            await self._change(loader, readable)
        except ConfigurationError:
            return  # `_change` has put the reason into the index and the log
        for name in readable.keys() - self._live.stored.keys():
            self._refused.pop(name, None)  # it is not in the repository any more

    async def _change(self, loader: Loader, changes: Mapping[str, StoredModel | None]) -> None:
        before, units = self._live.stored, self._live.units
        try:
            await self._live.change(loader, changes)
        except ConfigurationError as error:
            self._refuse(changes, error)
            raise
        for name in changes:
            self._refused.pop(name, None)
        for name in before.keys() - self._live.stored.keys():
            self._refused[name] = _Refused(_UNLOADED, tuple(version for unit, version in units if unit == name))

    def _refuse(
        self, changes: Mapping[str, StoredModel | ConfigurationError | None], error: ConfigurationError
    ) -> None:
        """Keep the reason why `changes` were not made, for the index, and log it once."""
        for name, model in changes.items():
            # An ensemble has the version of its classifier, which is not known here.
            versions = model.versions if isinstance(model, StoredModel) and not model.config.steps else ()
            refused = _Refused(str(error), versions)
            if self._refused.get(name) != refused:
                self._refused[name] = refused
                logger.error("model '%s' stays as it was: %s", name, error)

    async def _read(self, name: str) -> dict[str, StoredModel]:
        try:
            return await asyncio.to_thread(self._repository.read_with_steps, name)
        except ConfigurationError as error:
            self._refuse({name: None}, error)
            raise

    def _loader_on_request(self) -> Loader:
        if self._mode != "explicit":
            raise Unsupported(
                f"models are not loaded and unloaded by request while the setting model_control is '{self._mode}'; "
                "start the service with TOPFIVE_MODEL_CONTROL=explicit for that"
            )
        self._check_ready()
        assert self._loader is not None
        return self._loader

    def _check_ready(self) -> None:
        if not self._lifecycle.started:
            raise NotReady(f"the service is {self._lifecycle.state.value}, so its models do not change; retry later")


def _steps(model: StoredModel) -> set[str]:
    return {step.model for step in model.config.steps}
