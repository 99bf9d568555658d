"""Tunes a model: starts candidates, has them measured in rounds, and writes what is clearly better than what is there.

What lives here: the order of these steps, and the clock. What does not: the steps themselves (the modules beside this
one), flags and screens (`commands`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive.machine.cores import usable_cores
from topfive.repository.accelerators import Engine, Precision
from topfive_pipeline.judging.machine import memory_left, this_machine
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.tuning import choosing, contents, landing
from topfive_pipeline.tuning.choosing import Candidate, Contest
from topfive_pipeline.tuning.config_edits import with_evidence, with_setting
from topfive_pipeline.tuning.engines import engines
from topfive_pipeline.tuning.plan import SHORTEST, Plan, loads_of_waves, planned
from topfive_pipeline.tuning.rounds import PROBES
from topfive_pipeline.tuning.servers import Servers
from topfive_pipeline.tuning.settings import Setting, batching, runs, setting_of
from topfive_pipeline.tuning.subject import Subject, find
from topfive_pipeline.tuning.tuned import Tuned, Verdict, tried_of
from topfive_pipeline.tuning.turns import Progress, Turns
from topfive_pipeline.under_load.generator import Generator
from topfive_pipeline.under_load.images import requests_of
from topfive_pipeline.under_load.latency_objective import Objective

_FIRST_SHARE: Final = 0.005
_FIRST_AT_MOST: Final = 1.5
"""Of the time, and seconds: the first loads on the model as it is, to plan by, and to warm the machine up."""
_UNKNOWN: Final = 0.3
"""Of its capacity: a rate at which others may hold an objective that it does not hold at any."""
_CONNECTIONS: Final = 16
_FOR_A_CORE: Final = 8
"""Connections of a closed loop, so many for a core and no fewer: enough that batches are full."""
_SPARE: Final = 1.5
"""A server is started only if so many times the memory of the first is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user said.

    `seconds`: for all of it. `cores`: 0 for all that may be used. `bf16`: OpenVINO may compute in bfloat16, which
    changes answers a little.
    """

    model: str
    repository: Path
    objective: Objective
    image: str
    seconds: float = 300.0
    cores: int = 0
    bf16: bool = False
    dry_run: bool = False


def tune(wanted: Wanted, photos: Sequence[Photo], *, progress: Progress) -> Tuned:
    """Tune the model that is `wanted`, sending it `photos`.

    Raises `ConfigurationError` if it cannot be tuned here, or not in the time.
    """
    began = time.monotonic()
    progress("reading the model")
    subject = find(wanted.model, wanted.repository)
    if not wanted.dry_run:
        landing.check_writable(subject.config)
    if subject.side is not None and wanted.image != "x".join(map(str, subject.side)):
        height, width = subject.side
        raise ConfigurationError(
            f"--image {wanted.image}: '{subject.name}' takes one size only; say --image {height}x{width}"
        )
    requests = requests_of(photos, wanted.image, model=subject.name)
    others = engines(subject.classifier.config.engine, bf16=wanted.bf16)
    cores = usable_cores(wanted.cores)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="topfive-tune-")))
        servers = stack.enter_context(
            Servers(
                folder,
                subject.folders,
                classifier=subject.classifier.config.name,
                flags=["--cores", str(cores)],
            )
        )
        turns = Turns(
            stack.enter_context(Generator()),
            requests,
            wanted.objective,
            connections=max(_CONNECTIONS, _FOR_A_CORE * cores),
            progress=progress,
        )
        bench = _Bench(wanted, subject, cores, servers, turns, requests, progress, until=began + wanted.seconds)
        best, final, plan = bench.compare(others)
    return _finish(bench, best, final, plan, seconds=time.monotonic() - began)


@dataclass
class _Bench:
    """One tuning under way. `candidates`: all of them, the configuration as it is first."""

    wanted: Wanted
    subject: Subject
    cores: int
    servers: Servers
    turns: Turns
    requests: Sequence[bytes]
    progress: Progress
    until: float
    candidates: list[Candidate] = field(default_factory=list)
    agreement: dict[int, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    server_bytes: int = 0
    start_seconds: float = 0.0

    def compare(
        self, others: Sequence[tuple[Engine, Precision]]
    ) -> tuple[Candidate | None, choosing.Duel | None, Plan]:
        """Both waves and the last rounds: the best, or None if nothing was ahead; the last rounds; the plan."""
        current = Candidate(setting_of(self.subject.classifier.config, cores=self.cores), fate="now")
        free = memory_left()
        if not self._start([current], "the model as it is"):
            raise ConfigurationError(current.reason)
        left = memory_left()
        self.server_bytes = 0 if free is None or left is None else max(0, free - left)
        contest = Contest(current, self.wanted.objective, self.turns)
        rate = self._first(contest)
        wave = runs(current.setting, cores=self.cores, others=others)
        plan = planned(
            self.until - time.monotonic(),
            self.wanted.objective,
            runs=len(wave),
            batching=len(self._batching(current)),
            rate=rate,
            start_seconds=self.start_seconds,
        )
        self._may_warn(plan.runs, len(wave), "ways to run it")
        self.turns.seconds, self.turns.left = plan.seconds, plan.loads
        best = self._wave(contest, [Candidate(each) for each in wave[: plan.runs]], wave="what runs it")
        if best is not None and not contest.leads(best):
            self._gone(best, contest)
            best = None
        tried = self._batching(best or current)
        count = min(plan.batching, len(tried))
        while count and not self._share_time(plan, batching=count):  # servers and loads took longer than was planned
            count -= 1
        self._may_warn(count, len(tried), "ways to batch")
        best = self._wave(contest, [Candidate(each) for each in tried[:count]], wave="batching", beside=best)
        if best is None or not contest.leads(best):
            return None, None, plan
        self._share_time(plan, batching=0)
        final = contest.final(best, plan.final_rounds)
        best.fate = "last rounds"
        return best, final, plan

    def _first(self, contest: Contest) -> float:
        """The rate to plan by: at which the model as it is holds the objective, by a round of its own."""
        self.turns.seconds = min(_FIRST_AT_MOST, _FIRST_SHARE * self.wanted.seconds + SHORTEST)
        self.turns.left = 1 + PROBES
        capacity = self.turns.capacity(contest.current, self.turns.seconds)
        contest.round([contest.current])
        return contest.current.record.held[contest.rounds] or _UNKNOWN * capacity.rate

    def _batching(self, base: Candidate) -> list[Setting]:
        pays = self.turns.running[id(base)].pays
        return batching(base.setting, pays=pays, least=self.subject.largest_warm_up)

    def _may_warn(self, tried: int, of: int, what: str) -> None:
        if tried < of:
            self.warnings.append(f"the time was enough for {tried} of {of} {what} (--time)")

    def _share_time(self, plan: Plan, *, batching: int) -> bool:
        """Let the loads that are to come last as long as the time that is left allows; False if that is too short."""
        loads = loads_of_waves(self.wanted.objective, runs=0, batching=batching, rounds=plan.final_rounds)
        left = self.until - time.monotonic() - batching * self.start_seconds
        self.turns.seconds = plan.afresh(left, loads=loads, between=self.turns.between)
        self.turns.left = loads
        return left * (1 + 1e-6) >= loads * (self.turns.seconds + self.turns.between)

    def _gone(self, candidate: Candidate, contest: Contest) -> None:
        """It is not measured any more."""
        candidate.fate = candidate.fate or f"out in round {contest.rounds}"
        self.turns.end(candidate)

    def _wave(
        self, contest: Contest, candidates: Sequence[Candidate], *, wave: str, beside: Candidate | None = None
    ) -> Candidate | None:
        """The best of `candidates` and the one `beside` them, whose server runs already; None if there are none."""
        served = self._start(candidates, wave)
        known = [] if beside is None else [beside]
        if not served:
            return beside
        best = contest.halve([*known, *served])
        for each in (*known, *served):
            if each is not best:
                self._gone(each, contest)
        return best

    def _start(self, candidates: Sequence[Candidate], wave: str) -> list[Candidate]:
        """Start the servers of `candidates`; those that can be served, and the fate of each other."""
        served = []
        for number, candidate in enumerate(candidates, start=1):
            self.candidates.append(candidate)
            self.progress(f"{wave}: starting {number} of {len(candidates)}, {candidate.setting.title}")
            left = memory_left()
            if left is not None and left < _SPARE * self.server_bytes:
                candidate.fate = "left out"
                candidate.reason = f"{left / 1e6:.0f} MB of memory are left, too little for one more server"
                continue
            began = time.monotonic()
            try:
                running = self.servers.start(self.text_of(candidate), self.requests)
            except (ConfigurationError, OSError) as error:
                candidate.fate, candidate.reason = "not served", str(error)
                continue
            self.start_seconds = max(self.start_seconds, time.monotonic() - began)
            self.turns.add(candidate, running)
            first = self.turns.running[id(self.candidates[0])].labels
            same = [one == other for one, other in zip(running.labels, first, strict=True) if other is not None]
            self.agreement[id(candidate)] = sum(same) / len(same) if same else 0.0
            served.append(candidate)
        return served

    def text_of(self, candidate: Candidate) -> str:
        """The config.pbtxt of `candidate`."""
        return with_setting(
            self.subject.classifier.text,
            candidate.setting,
            name=self.subject.classifier.config.name,
            where=str(self.subject.config),
            cores=self.cores,
        )


def _finish(bench: _Bench, best: Candidate | None, final: choosing.Duel | None, plan: Plan, *, seconds: float) -> Tuned:
    """What came of it; the configuration is written if the best is clearly better."""
    wanted, subject = bench.wanted, bench.subject
    current = bench.candidates[0]
    found = {
        id(each): tried_of(each, current, wanted.objective, agreement=bench.agreement.get(id(each)))
        for each in bench.candidates
    }
    told = Tuned(
        name=subject.name,
        classifier=subject.classifier.config.name,
        config=str(subject.config),
        graph=str(subject.graph),
        objective=wanted.objective,
        image=wanted.image,
        images=len(bench.requests),
        when=datetime.now(UTC),
        machine=this_machine(cores=wanted.cores),
        seconds=seconds,
        load_seconds=plan.seconds,
        cores_shared=bench.cores >= usable_cores(),
        tried=tuple(found.values()),
        chosen=None if best is None else found[id(best)],
        final=final,
        verdict=_verdict(bench.candidates, final),
        text=None,
        written=False,
        warnings=tuple(bench.warnings),
    )
    if told.verdict != "better" or best is None:
        return told
    text = with_evidence(bench.text_of(best), contents.evidence(told), title=contents.headline(told))
    if not wanted.dry_run:
        landing.put(subject.config, text, instead_of=subject.classifier.text)
    return replace(told, text=text, written=not wanted.dry_run)


def _verdict(candidates: Sequence[Candidate], final: choosing.Duel | None) -> Verdict:
    if final is not None and final.is_clear:
        return "better"
    held = any(rate > 0 for each in candidates for rate in each.record.held.values())
    return "as good" if held or not any(each.record.held for each in candidates) else "unmet"
