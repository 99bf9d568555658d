"""Puts both contestants under the loads of a plan, in turns, and keeps what came of each load.

What lives here: the measurement. What does not: what follows from it (`gating.load`, `gating.memory`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import urlsplit

from topfive_pipeline.gating.contestants import Contestant, Pair
from topfive_pipeline.gating.load_plan import BETWEEN, Cell, LoadPlan
from topfive_pipeline.under_load.generator import Generator
from topfive_pipeline.under_load.load import WARM
from topfive_pipeline.under_load.mixes import Query, Recipient, Request, queries_of, requests_to
from topfive_pipeline.under_load.resident import Resident, Sampling
from topfive_pipeline.under_load.server import batch_limits, resident_bytes, statuses
from topfive_pipeline.under_load.turns import turns

Role = Literal["candidate", "live"]
ROLES: Final[tuple[Role, Role]] = ("candidate", "live")
Progress = Callable[[str], None]
_OK: Final = 200
_SAMPLES: Final = 0.5
"""Seconds between two readings of the memory: a reading costs the server some milliseconds."""
_BUSY: Final = 0.9
"""CPU seconds a second with which the generator has no time left to send more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load on one contestant.

    `answered`: the number of the query and the seconds of each right answer; of an open loop from when it was due, and
    its number is -1. `rate`: right answers a second. `failures`: why requests failed, and how many. `fault`: why the
    generator may have been the limit, or empty. `began`, `ended`: seconds since the first load.
    """

    answered: tuple[tuple[int, float], ...]
    rate: float
    failures: Mapping[str, int]
    fault: str = ""
    began: float = 0.0
    ended: float = 0.0

    @property
    def latencies(self) -> list[float]:
        """In seconds, ascending."""
        return sorted(seconds for _, seconds in self.answered)

    @property
    def failed_share(self) -> float:
        """Of the requests that were counted, from 0 to 1."""
        failed = sum(self.failures.values())
        return failed / (failed + len(self.answered)) if failed else 0.0


@dataclass(slots=True)
class Measured:
    """What came of a plan.

    `queries`: of each mix. `loads`: by cell and contestant, one for each round. `rates`: of the open loops. `ended`:
    which contestant's server ended under load, and how; the rest of the plan is then missing. `refused`: kinds that
    both refuse, and are not sent. `batches`: the most images that each runs at once, as its metrics tell; "" if not.
    """

    plan: LoadPlan
    queries: dict[str, tuple[Query, ...]] = field(default_factory=dict)
    loads: dict[tuple[Cell, Role], list[Load]] = field(default_factory=dict)
    rates: dict[Cell, float] = field(default_factory=dict)
    memory: dict[Role, Resident] = field(default_factory=lambda: {role: Resident() for role in ROLES})
    ended: dict[Role, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    batches: dict[Role, str] = field(default_factory=dict)
    seconds: float = 0.0

    def of(self, cell: Cell, role: Role) -> Sequence[Load]:
        return self.loads.get((cell, role), [])


def measure(pair: Pair, plan: LoadPlan, progress: Progress) -> Measured:
    """Put both under the loads of `plan`; a server that ends meanwhile ends the measurement."""
    measured = Measured(plan)
    progress("load: making the requests")
    try:
        requests = _requests(pair, plan, measured)
    except _Ended as gone:
        measured.ended[gone.role] = gone.reason
        return measured
    for role in ROLES:
        one = contestant(pair, role)
        measured.batches[role] = batch_limits(one.url, api_key=one.api_key)
    began = time.monotonic()
    with Generator() as generator:
        run = _Run(pair, measured, requests, generator, progress, began)
        for number, cell, role in turns(plan.cells, ROLES, rounds=plan.rounds):
            try:
                run.load(number, cell, role)
            except _Ended as gone:
                measured.ended[gone.role] = gone.reason
                break
    measured.seconds = time.monotonic() - began
    return measured


class _Ended(Exception):
    """The server of a contestant ended, or hangs."""

    def __init__(self, role: Role, reason: str) -> None:
        super().__init__(reason)
        self.role = role
        self.reason = reason


def _requests(pair: Pair, plan: LoadPlan, measured: Measured) -> dict[tuple[str, Role], list[Request]]:
    """What is sent to each contestant, of each mix: all that not both refuse, so all that tells them apart."""
    found: dict[tuple[str, Role], list[Request]] = {}
    for mix in plan.mixes:
        queries = queries_of(mix, plan.photos)
        sent = {role: requests_to(_recipient(contestant(pair, role)), queries) for role in ROLES}
        answers = {role: _statuses(pair, role, sent[role]) for role in ROLES}
        kept = [number for number in range(len(queries)) if any(answers[role][number] == _OK for role in ROLES)]
        refused = dict.fromkeys(query.kind for number, query in enumerate(queries) if number not in kept)
        measured.refused += tuple(kind for kind in refused if kind not in measured.refused)
        measured.queries[mix] = tuple(queries[number] for number in kept)
        for role in ROLES:
            found[mix, role] = [sent[role][number] for number in kept]
    return found


def _statuses(pair: Pair, role: Role, requests: Sequence[Request]) -> tuple[int, ...]:
    try:
        return statuses(contestant(pair, role).url, requests)
    except OSError as error:
        hangs = isinstance(error, TimeoutError)
        raise _Ended(role, f"it hangs: {error}" if hangs else f"it accepts no connection ({error})") from error


def contestant(pair: Pair, role: Role) -> Contestant:
    """The one of `pair` that has this role."""
    return pair.candidate if role == "candidate" else pair.live


def _recipient(one: Contestant) -> Recipient:
    host = urlsplit(one.url).netloc
    return Recipient(host=host, model=one.model, version=one.version, api_key=one.api_key)


@dataclass(slots=True)
class _Run:
    """A plan under way."""

    pair: Pair
    measured: Measured
    requests: Mapping[tuple[str, Role], Sequence[Request]]
    generator: Generator
    progress: Progress
    began: float
    planned: float = 0.0
    """Seconds that the loads so far were to take."""

    def load(self, number: int, cell: Cell, role: Role) -> None:
        """One load; raises `_Ended` if the server does."""
        plan, seconds = self.measured.plan, self.measured.plan.seconds_of(cell)
        where = f"round {number + 1} of {plan.rounds}, about {self._left():.0f} s left"
        self.progress(f"load: {where}: {cell.title}, the {role} version")
        self.planned += seconds + BETWEEN
        requests = self.requests[cell.mix, role]
        if not requests:
            return
        one = contestant(self.pair, role)
        began = time.monotonic()
        with Sampling(
            lambda: resident_bytes(one.url, api_key=one.api_key),
            self.measured.memory[role],
            seconds=_SAMPLES,
            clock=lambda: time.monotonic() - self.began,
        ):
            try:
                load = self._put_under(number, cell, one.url, requests, seconds)
            except OSError as error:  # also of no answer for long
                raise _Ended(role, f"{cell.title}: {error}") from error
        if load is not None:
            load = replace(load, began=began - self.began, ended=time.monotonic() - self.began)
            self.measured.loads.setdefault((cell, role), []).append(load)

    def _left(self) -> float:
        """Seconds that the rest takes, if it takes as much longer than planned as the loads so far."""
        whole = self.measured.plan.load_seconds
        longer = (time.monotonic() - self.began) / self.planned if self.planned else 1.0
        return max(0.0, whole - self.planned) * longer

    def _put_under(self, number: int, cell: Cell, url: str, requests: Sequence[Request], seconds: float) -> Load | None:
        if cell.workers is not None:
            found = self.generator.closed(url, requests, connections=cell.workers, seconds=seconds, goes_on=True)
            fault = f"the generator itself was busy for {found.busy:.0%} of the time" if found.busy > _BUSY else ""
            return Load(answered=found.answered, rate=found.rate, failures=found.failures, fault=fault)
        rate = self._rate(cell)
        if rate <= 0:
            return None
        probe = self.generator.opened(url, requests, rate=rate, seconds=seconds, seed=number)
        answered = tuple((-1, latency) for latency in probe.latencies)
        counted = (1 - WARM) * seconds
        return Load(answered=answered, rate=len(answered) / counted, failures=probe.failures, fault=probe.fault)

    def _rate(self, cell: Cell) -> float:
        """Of an open loop: as it was said, or the share of what the live version did in the rounds of closed loops.

        It stays as it was first, so that all rounds of both contestants are alike.
        """
        if cell.rate is not None:
            return cell.rate
        if cell not in self.measured.rates:
            closed = [each for each in self.measured.plan.cells if each.mix == cell.mix and each.workers is not None]
            rates = [load.rate for each in closed for load in self.measured.of(each, "live")]
            self.measured.rates[cell] = self.measured.plan.open_share * max(rates, default=0.0)
        return self.measured.rates[cell]
