"""The rollback rule: whether a canary fails more often, or is slower, than the live version; pure functions.

What lives here: what is counted of each arm, and the two tests. What does not: what follows (`rollout.canary`).

Both tests are one-sided and are repeated every second, so they ask for much: a chance of one in ten thousand for the
faults, four standard errors for the time. Without any difference that is about one false alarm in ten thousand windows
of a thousand canary requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LEAST_FAULTS: Final = 5
"""So many faults of the canary are needed for a verdict: fewer can have any cause."""
LEAST_ANSWERS: Final = 100
"""So many answers of each arm are needed before their times are compared."""
WINDOW: Final = 2000
"""At so many canary requests all counts are halved, so that a long good past does not hide a bad present."""
_CHANCE: Final = 1e-4
_ERRORS: Final = 4.0


@dataclass(slots=True)
class Tally:
    """What was counted of one arm: requests, faults of ours (500, 503, 504), and the seconds of its answers."""

    requests: float = 0.0
    faults: float = 0.0
    answers: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    """The sum of squared differences from the mean (Welford)."""

    def count(self, *, fault: bool, seconds: float | None) -> None:
        """Count one request; `seconds` that its answer took, None if it has none."""
        self.requests += 1
        self.faults += fault
        if seconds is not None:
            self.answers += 1
            step = seconds - self.mean
            self.mean += step / self.answers
            self.squares += step * (seconds - self.mean)

    def halve(self) -> None:
        """Let what was counted so far weigh half."""
        self.requests /= 2
        self.faults /= 2
        self.answers /= 2
        self.squares /= 2

    @property
    def error(self) -> float:
        """The squared standard error of the mean; infinite below two answers."""
        return math.inf if self.answers < 2 else self.squares / (self.answers - 1) / self.answers


def why_worse(canary: Tally, live: Tally, *, most_slowdown: float) -> str | None:
    """Why the canary must be taken back, None if it need not be.

    `most_slowdown`: how many times as long as a live answer one of the canary's may take on average; 0 is any.
    """
    if canary.faults >= LEAST_FAULTS and canary.faults * live.requests > live.faults * canary.requests:
        chance = chance_of_faults(canary, live)
        if chance < _CHANCE:
            return (
                f"it fails more often: {canary.faults:.0f} of {canary.requests:.0f} requests against "
                f"{live.faults:.0f} of {live.requests:.0f} (by chance once in {min(1 / max(chance, 1e-12), 1e12):.0f})"
            )
    if not most_slowdown or min(canary.answers, live.answers) < LEAST_ANSWERS:
        return None
    beyond = canary.mean - most_slowdown * live.mean
    noise = math.sqrt(canary.error + most_slowdown**2 * live.error)
    if beyond > _ERRORS * noise:
        return (
            f"it is slower: an answer takes {canary.mean * 1000:.1f} ms against {live.mean * 1000:.1f} ms, and may "
            f"take {most_slowdown:g} times as long"
        )
    return None


def chance_of_faults(canary: Tally, live: Tally) -> float:
    """The chance that so many of all faults or more fall to the canary if both arms fail alike.

    Fisher's exact test, one-sided: the upper tail of the hypergeometric distribution.
    """
    ours, theirs = round(canary.requests), round(live.requests)
    faults = min(round(canary.faults) + round(live.faults), ours + theirs)
    total = _choices(ours + theirs, faults)
    found = range(round(canary.faults), min(faults, ours) + 1)
    return sum(
        math.exp(_choices(ours, k) + _choices(theirs, faults - k) - total) for k in found if faults - k <= theirs
    )


def _choices(of: int, chosen: int) -> float:
    """The logarithm of the binomial coefficient."""
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)
