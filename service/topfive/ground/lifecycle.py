"""The states of the service: STARTING -> READY -> DRAINING -> STOPPED, READY <-> UNREACHABLE, and FAILED.

Only a finished warm-up leads to READY. UNREACHABLE: a backend in another process cannot be reached, but may come back.
FAILED: the service itself failed, and the process ends. A READY service that serves no model does not count as ready.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import Final


class State(enum.Enum):
    """The state of the service."""

    STARTING = "starting"
    READY = "ready"
    UNREACHABLE = "cut off from its backend"
    FAILED = "failed"
    DRAINING = "draining"
    STOPPED = "stopped"


_ALLOWED: Final = {
    State.STARTING: {State.READY, State.FAILED, State.DRAINING},
    State.READY: {State.UNREACHABLE, State.FAILED, State.DRAINING},
    State.UNREACHABLE: {State.READY, State.FAILED, State.DRAINING},
    State.FAILED: {State.DRAINING},
    State.DRAINING: {State.STOPPED},
    State.STOPPED: set(),
}


class Bell:
    """Wakes all tasks that wait for it when it is rung; used on one event loop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake all tasks that wait now."""
        self._rung.set()
        self._rung.clear()

    async def wait(self) -> None:
        """Return when it is rung next."""
        await self._rung.wait()


class Lifecycle:
    """Holds the state; calls `on_change(state)` when that changes, and, while READY, when `ready` does."""

    def __init__(self, *, on_change: Callable[[State], None]) -> None:
        self.state = State.STARTING
        self._serves = True
        self._on_change = on_change

    def __repr__(self) -> str:
        return f"<Lifecycle {self.state.value}>"

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here: the state is READY and a model is served."""
        return self.state is State.READY and self._serves

    @property
    def why_not_ready(self) -> str:
        """The message for clients while the service is not `ready`."""
        if self.state is State.READY:
            return "no model is served here; load one, or put one into the model repository"
        return f"the service is {self.state.value}; send requests to another replica, or retry"

    @property
    def started(self) -> bool:
        """Whether the service has started and is not about to end, whether or not its backend can be reached."""
        return self.state in (State.READY, State.UNREACHABLE)

    def serve(self, *, anything: bool) -> None:
        """Say whether any model is served now."""
        if anything is not self._serves:
            self._serves = anything
            if self.state is State.READY:
                self._on_change(self.state)

    def enter(self, state: State) -> None:
        """Change to `state`; raises `ValueError` for a change that is not allowed."""
        if state is self.state:
            return
        if state not in _ALLOWED[self.state]:
            raise ValueError(f"the service cannot go from {self.state.value} to {state.value}")
        self.state = state
        self._on_change(state)
