"""Records runs of a command beside its result: what goes wrong with the record is said, and never costs the result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Final, Self

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.experiments import origin, tracking
from topfive_pipeline.experiments.runs import COMMAND, MODEL, RUN_ID, TRACKING, Run
from topfive_pipeline.experiments.tracking import Tracker

_SOURCE: Final = "mlflow.source.name"
_SOURCE_TYPE: Final = "mlflow.source.type"
"""Where MLflow's own pages show what made a run."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What became of a record: the ids of its runs, and the `fault` if not all could be recorded.

    `is_missing`: there is no MLflow to keep it. If it is none of these, it was not wanted.
    """

    ids: tuple[str, ...] = ()
    fault: str | None = None
    is_missing: bool = False


class Log:
    """The log of one run of `command`.

    Used as a context, a run that was begun and has no record by the end is marked as failed.
    """

    def __init__(self, command: str, *, wanted: bool = True, tracker: Tracker | None = None) -> None:
        """In the store of `tracker`; None for the one that the environment names. `wanted`: whether it is kept."""
        self.command = command
        self._wanted = wanted
        self._is_missing = tracker is None and not tracking.is_installed()
        self._tracker = tracker or Tracker()
        self._begun: str | None = None
        self._fault: str | None = None

    def link(self, model: str) -> dict[str, str]:
        """Begin the run, before the graph of `model` is written: the properties by which the graph names it.

        There are none if nothing is logged.
        """
        if not self._is_kept:
            return {}
        try:
            self._begun = self._begun or self._tracker.begin(f"{self.command} {model}")
        except ConfigurationError as error:
            self._fault = str(error)
            return {}
        return {RUN_ID: self._begun, TRACKING: self._tracker.name}

    def record(self, make: Callable[[], Sequence[Run]]) -> Logged:
        """Record the runs that `make` returns, the first above the others; if nothing is logged, it is not called.

        Never raises what the store, or a file that the record is of, brings about: it is the `fault`.
        """
        if not self._is_kept:
            return Logged(fault=self._fault, is_missing=self._wanted and self._is_missing)
        ids: list[str] = []
        try:
            for run in map(self._whole, make()):
                self._begun = self._begun or self._tracker.begin(f"{self.command} {run.model}")
                self._tracker.fill(self._begun, run, parent=ids[0] if ids else None)
                ids.append(self._begun)
                self._begun = None
        except ConfigurationError as error:
            self._fault = str(error)
        except OSError as error:
            self._fault = f"{error.filename}: {error.strerror}"
        self._give_up()
        return Logged(tuple(ids), self._fault)

    @property
    def _is_kept(self) -> bool:
        return self._wanted and not self._is_missing and self._fault is None

    def _whole(self, run: Run) -> Run:
        """`run` with what is said of every one."""
        own = {COMMAND: self.command, MODEL: run.model, _SOURCE: f"topfive {self.command}", _SOURCE_TYPE: "LOCAL"}
        return replace(run, tags={**self._origin, **own, **run.tags})

    @cached_property
    def _origin(self) -> dict[str, str]:
        return origin.tags()

    def _give_up(self) -> None:
        """Mark a run that was begun and has no record as failed."""
        if self._begun is not None:
            with contextlib.suppress(ConfigurationError):  # why it has no record is said already
                self._tracker.fail(self._begun)
            self._begun = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._give_up()
