"""Whether a limit is met by a figure that photos only estimate: met, missed, or more photos are needed to tell.

What lives here: the rule, which is that of `topfive optimise` (decision 27). What does not: the intervals
(`judging.intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass

from topfive_pipeline.judging.intervals import Interval
from topfive_pipeline.judging.tables import rounded


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided of a limit, and what to note of it."""

    met: bool | None
    note: str
    accepted: bool = False


def decided(found: float, interval: Interval, *, least: float, more: int | None, accept: bool) -> Decision:
    """Whether a figure is at least `least`, if it was `found` and lies in `interval` with 95 %.

    `more`: how many photos would decide it; None if no number would. `accept`: what is undecided counts as met, and is
    noted. A miss that was found is a miss only if the whole interval is below the limit; a figure that was found to be
    within the limit is met, and the note says if the photos do not prove it.
    """
    would = "" if more is None else f"; about {rounded(more)} photos would"
    if found >= least:
        return Decision(True, "" if interval.low >= least else f"these photos do not prove it{would}")
    if interval.high < least:
        return Decision(False, "")
    if accept:
        more_said = f"{would} decide" if would else ""
        return Decision(True, f"undecided, and accepted as --accept-undecided says{more_said}", accepted=True)
    return Decision(None, f"these photos cannot decide it{would} (--accept-undecided counts it as met)")
