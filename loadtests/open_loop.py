"""The open loop of a load test: queries sent by `loadgen.open_loop` in a process of their own, and what a run says."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from loadgen import open_loop
from loadgen.aside import Aside
from loadtests.open_plan import QueryLoad, conclude
from loadtests.results import OpenRun


def run(plan: QueryLoad, *, stop: Connection | None = None) -> OpenRun:
    """Do it in this process, which should have nothing else to do; see `loadgen.open_loop.drive`."""
    return conclude(plan, open_loop.drive(plan.sending(), stop=stop))


class OpenLoop:
    """A process that runs one plan, as it is or with other rates; the queries go there once. For use in `with`."""

    def __init__(self, plan: QueryLoad) -> None:
        self._aside = Aside()
        self._aside.run(_hold, plan=plan)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._aside.__exit__(kind, error, trace)

    def run(self, **changes: Any) -> OpenRun:
        """Run it and wait; `rate=…`, `seconds=…`, `seed=…` in place of the plan's."""
        self.start(**changes)
        return self.result()

    def start(self, **changes: Any) -> None:
        """Let it begin; `result` waits for it."""
        self._aside.start(_run_held, changes=changes)

    def stop(self) -> None:
        """Ask the run under way to end early; what it has sent it still waits for."""
        self._aside.stop()

    def result(self) -> OpenRun:
        """What it found; what it raised is raised here."""
        found: OpenRun = self._aside.result()
        return found


_held: list[QueryLoad] = []


def _hold(*, plan: QueryLoad, stop: Connection) -> None:
    _held[:] = [plan]


def _run_held(*, changes: dict[str, Any], stop: Connection) -> OpenRun:
    return run(replace(_held[0], **changes), stop=stop)
