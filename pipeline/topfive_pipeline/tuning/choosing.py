"""Which of several candidates is kept: successive halving, then a duel. Pure: what measures is given.

Every round measures all that are left beside the configuration as it is, and only ratios within one round are compared.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from topfive_pipeline.tuning.rounds import AGAIN, PROBES, Asked, Record, Round, round_of
from topfive_pipeline.tuning.settings import Setting
from topfive_pipeline.under_load.latency_objective import Objective
from topfive_pipeline.under_load.load import Capacity, Probe

BETTER: Final = 1.05
"""The least ratio that a change is worth."""
CHANCE: Final = 0.05
"""How likely it may be that what is no better wins so many of the last rounds (sign test, one-sided)."""
FINAL_ROUNDS: Final = 5
"""The fewest with which all of them won is clear: 1 / 2^5 = 3 %."""
MORE_FINAL_ROUNDS: Final = 8
"""With so many one may be lost: 9 / 2^8 = 4 %. They are made where the time is enough."""


@dataclass(slots=True)
class Candidate:
    """A setting that is tried, and what was measured of it.

    `fate`: what became of it, in a word or two; `reason`: why it could not be measured, if so.
    """

    setting: Setting
    record: Record = field(default_factory=Record)
    fate: str = ""
    reason: str = ""

    def ratios(self, current: Candidate, rounds: Iterable[int] | None = None) -> list[float]:
        """To `current`, of the rounds in which both were measured (or of those of `rounds`)."""
        wanted = self.record.held if rounds is None else rounds
        both = [number for number in wanted if number in self.record.held and number in current.record.held]
        return [ratio(self.record.held[number], current.record.held[number]) for number in both]


def ratio(one: float, other: float) -> float:
    """How many times `other` it is: 1 if both are nothing, infinite if only `other` is."""
    if other > 0:
        return one / other
    return math.inf if one > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Duel:
    """The last rounds, of the best beside the configuration as it is: the ratio of each round."""

    ratios: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def won(self) -> int:
        return sum(each > 1 for each in self.ratios)

    @property
    def chance(self) -> float:
        """How likely as many rounds are won if neither is better."""
        return sign_test(self.won, len(self.ratios))

    @property
    def is_clear(self) -> bool:
        """Whether the change is written."""
        return self.median >= BETTER and self.chance <= CHANCE


def sign_test(won: int, of: int) -> float:
    """The probability of at least `won` heads in `of` throws of a fair coin."""
    return sum(math.comb(of, count) for count in range(won, of + 1)) / float(2**of)


Measure = Callable[[Candidate, Asked, int], Capacity | Probe]
"""Puts a candidate under a load; the last argument is the round's number, which decides when requests arrive."""


class Contest:
    """The rounds between candidates and the configuration as it `is`."""

    def __init__(self, current: Candidate, objective: Objective, measure: Measure) -> None:
        self.current = current
        self.rounds = 0
        self._objective = objective
        self._measure = measure

    def halve(self, challengers: Sequence[Candidate]) -> Candidate:
        """The best of `challengers`, by rounds of all that are left, of which half go after each."""
        left = list(challengers)
        while True:
            self.round([self.current, *left])
            left.sort(key=self._standing, reverse=True)
            kept = left[: math.ceil(len(left) / 2)]
            for gone in left[len(kept) :]:
                gone.fate = gone.fate or f"out in round {self.rounds}"
            if len(kept) == 1:
                return kept[0]
            left = kept

    def final(self, best: Candidate, rounds: int) -> Duel:
        """`rounds` more rounds of `best` and the configuration as it is, alone."""
        first = self.rounds + 1
        for _ in range(rounds):
            self.round([self.current, best])
        return Duel(tuple(best.ratios(self.current, range(first, self.rounds + 1))))

    def round(self, candidates: Sequence[Candidate]) -> None:
        """One round of all `candidates`, load by load in turns; who begins changes from round to round."""
        self.rounds += 1
        first = self.rounds % len(candidates)
        order = [*candidates[first:], *candidates[:first]]
        runs = [(each, round_of(each.record, self.rounds, self._objective)) for each in order]
        turn = [(each, run, asked) for each, run in runs if (asked := _sent(run, None)) is not None]
        while turn:
            found = [(each, run, self._measure(each, asked, self.rounds)) for each, run, asked in turn]
            turn = [(each, run, asked) for each, run, seen in found if (asked := _sent(run, seen)) is not None]

    def leads(self, candidate: Candidate) -> bool:
        """Whether it was ahead of the configuration as it is, by the median of the rounds so far."""
        return self._standing(candidate) > 1

    def _standing(self, candidate: Candidate) -> float:
        return statistics.median(candidate.ratios(self.current))


def _sent(run: Round, found: Capacity | Probe | None) -> Asked | None:
    """The next load of `run`, which is told what was `found`; None if it is over."""
    try:
        return run.send(found)  # type: ignore[arg-type]  # None begins it
    except StopIteration:
        return None


def loads_of(challengers: int, *, objective: Objective, known: int = 0) -> int:
    """How many loads `halve` takes for so many challengers, `known` of which were measured before, as was what is."""
    left, loads = challengers, 0
    if objective.limits:  # of each that is new a closed loop and a first round, instead of a further one
        loads += (challengers - known) * (1 + PROBES - AGAIN)
    while True:
        loads += (left + 1) * _again(objective)
        left = math.ceil(left / 2)
        if left == 1:
            return loads


def loads_of_final(rounds: int, *, objective: Objective) -> int:
    """How many loads `final` takes."""
    return 2 * rounds * _again(objective)


def _again(objective: Objective) -> int:
    return AGAIN if objective.limits else 1
