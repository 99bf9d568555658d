"""The open loop of a load test: it sends queries with `topfive_loadgen.open_loop`, in a separate process."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from loadtests.open_plan import QueryLoad, conclude
from loadtests.results import OpenRun
from topfive_loadgen import open_loop
from topfive_loadgen.aside import Aside


def run(plan: QueryLoad, *, stop: Connection | None = None) -> OpenRun:
    """Run the plan in this process, which should do nothing else; see `topfive_loadgen.open_loop.drive`."""
    return conclude(plan, open_loop.drive(plan.sending(), stop=stop))


class OpenLoop:
    """A process that runs one plan, also with other rates; it gets the queries only once. For use in `with`."""

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
        """Run the plan and wait; `rate=…`, `seconds=…`, `seed=…` replace the plan's values."""
        self.start(**changes)
        return self.result()

    def start(self, **changes: Any) -> None:
        """Begin a run; `result` waits for it."""
        self._aside.start(_run_held, changes=changes)

    def stop(self) -> None:
        """Ask the run to end early; it still waits for the answers to what it has sent, unless it is asked again."""
        self._aside.stop()

    def has_ended(self, *, within_seconds: float) -> bool:
        """Whether the run has ended; waits for that at most so long."""
        return self._aside.has_ended(within_seconds=within_seconds)

    def result(self) -> OpenRun:
        """The result of the run; an exception of the run is raised here."""
        found: OpenRun = self._aside.result()
        return found


_held: list[QueryLoad] = []


def _hold(*, plan: QueryLoad, stop: Connection) -> None:
    _held[:] = [plan]


def _run_held(*, changes: dict[str, Any], stop: Connection) -> OpenRun:
    return run(replace(_held[0], **changes), stop=stop)
