"""The states of the service: STARTING -> READY -> DRAINING -> STOPPED, READY <-> UNREACHABLE, and FAILED.

Readiness is earned: only a finished warm-up leads to READY. UNREACHABLE is a backend elsewhere that is away, and may
come back; FAILED is ours, and the process ends. While READY, no model may be served: then it is not ready either.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import Final


class State(enum.Enum):
    """Where the service is in its life."""

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
    """Wakes all who wait whenever it is rung; used on one event loop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait now."""
        self._rung.set()
        self._rung.clear()

    async def wait(self) -> None:
        """Return the next time that it is rung."""
        await self._rung.wait()


class Lifecycle:
    """Holds the state; `on_change(state)` is told of every change, also of whether anything is served."""

    def __init__(self, *, on_change: Callable[[State], None]) -> None:
        self.state = State.STARTING
        self._serves = True
        self._on_change = on_change

    def __repr__(self) -> str:
        return f"<Lifecycle {self.state.value}>"

    @property
    def ready(self) -> bool:
        """Whether new work should be sent here: not where no model could take it."""
        return self.state is State.READY and self._serves

    @property
    def why_not_ready(self) -> str:
        """What whoever sends work here is told while it is not `ready`."""
        if self.state is State.READY:
            return "no model is served here; load one, or put one into the model repository"
        return f"the service is {self.state.value}; send requests to another replica, or retry"

    @property
    def started(self) -> bool:
        """Whether models are served, be their backend reachable or not, and will be."""
        return self.state in (State.READY, State.UNREACHABLE)

    def serve(self, *, anything: bool) -> None:
        """Say whether any model is served."""
        if anything is not self._serves:
            self._serves = anything
            if self.state is State.READY:
                self._on_change(self.state)

    def enter(self, state: State) -> None:
        """Change to `state`; raises `ValueError` for a change that the life of the service does not have."""
        if state is self.state:
            return
        if state not in _ALLOWED[self.state]:
            raise ValueError(f"the service cannot go from {self.state.value} to {state.value}")
        self.state = state
        self._on_change(state)
