"""How long each load lasts, so that a tuning fits its time; and which candidates are left out so that it can. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.tuning.choosing import FINAL_ROUNDS, MORE_FINAL_ROUNDS, loads_of, loads_of_final
from topfive_pipeline.under_load.latency_objective import Objective
from topfive_pipeline.under_load.load import WARM

SHORTEST: Final = 0.2
LONGEST: Final = 4.0
"""Seconds of a load: shorter is all noise; longer, but for a slow model, and what is compared lies too far apart."""
_GOOD: Final = 1.0
"""Seconds of a load above which one more final round is worth more than longer loads."""
BETWEEN: Final = 0.15
"""Seconds between two loads: connections are made, and garbage is collected."""
_SPARE: Final = 1.1
LIMITS: Final = 10.0
"""How many times the limit a load lasts at least: then a rate a tenth above what can be served is seen to miss it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`runs` and `batching`: how many candidates of each wave are tried. `seconds`: how long a load lasts.

    `needed`: how long one must last for enough answers.
    """

    runs: int
    batching: int
    final_rounds: int
    seconds: float
    loads: int
    needed: float = SHORTEST

    def afresh(self, seconds: float, *, loads: int, between: float) -> float:
        """How long each of `loads` may last in the `seconds` that are left, with `between` so many after each."""
        return max(self.needed, min(LONGEST, seconds / loads - between))


def enough_seconds(objective: Objective, rate: float) -> float:
    """How long a load at `rate` must last for enough answers, and for a backlog to show."""
    return max(_SPARE * objective.fewest / rate, LIMITS * objective.longest) / (1 - WARM)


def planned(
    seconds: float, objective: Objective, *, runs: int, batching: int, rate: float, start_seconds: float
) -> Plan:
    """The plan for `seconds`, with as many of the `runs` and `batching` candidates as can be measured in that time.

    `rate`: requests a second at which the configuration as it is holds the objective; `start_seconds`: what starting a
    server takes. Raises `ConfigurationError` if not even one candidate can be measured.
    """
    needed = max(SHORTEST, enough_seconds(objective, rate))
    plan = None
    for one, other in _fewer(runs, batching):
        for rounds in (MORE_FINAL_ROUNDS, FINAL_ROUNDS):
            loads = loads_of_waves(objective, runs=one, batching=other, rounds=rounds)
            left = seconds - (one + other) * start_seconds - loads * BETWEEN
            each = min(max(LONGEST, needed), left / loads)
            plan = Plan(runs=one, batching=other, final_rounds=rounds, seconds=each, loads=loads, needed=needed)
            if plan.seconds >= (max(needed, _GOOD) if rounds > FINAL_ROUNDS else needed):
                return plan
    if plan is None:  # there is nothing to try
        return Plan(runs=0, batching=0, final_rounds=0, seconds=needed, loads=0, needed=needed)
    whole = plan.loads * (needed + BETWEEN) + start_seconds
    raise ConfigurationError(
        f"--time: {objective.text} cannot be judged in {seconds:.0f} s: at some {rate:.3g} answers a "
        f"second a load must last {needed:.1f} s (for {objective.fewest} answers, and ten "
        f"times the limit), and even one candidate needs {plan.loads} "
        f"loads; say --time {whole + 1:.0f}s, or another objective (a lower percentile, or throughput)"
    )


def _fewer(runs: int, batching: int) -> list[tuple[int, int]]:
    """Numbers of candidates to try, the most first: how a model batches is left out before what runs it."""
    found = [(runs, count) for count in range(batching, -1, -1)]
    found += [(count, 0) for count in range(runs - 1, 0, -1)]
    return [each for each in found if sum(each)]


def loads_of_waves(objective: Objective, *, runs: int, batching: int, rounds: int) -> int:
    """How many loads so many candidates of each wave take, with the last rounds."""
    loads = loads_of_final(rounds, objective=objective)
    loads += loads_of(runs, objective=objective) if runs else 0
    return loads + (loads_of(batching + 1, objective=objective, known=1) if batching else 0)
