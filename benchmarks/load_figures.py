"""Computes the figures of an open-loop run from its answers. Pure: no clock, no process, no file."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from topfive_loadgen import tables
from topfive_loadgen.percentiles import percentile_of
from topfive_loadgen.plan import Sample

# The figures; latencies in ms, from the scheduled time.
OFFERED, GOODPUT = "offered/s", "good/s"
P50, P99 = "accepted p50", "accepted p99"
REFUSED, REFUSED_P99 = "refused p50", "refused p99"
RETRY_AFTER = "Retry-After"  # median of the refusals' Retry-After, in seconds
UNTOLD = "without Retry-After"  # how many refusals had none
WRONG, UNANSWERED = "wrong answers", "no answer"
LAG = "generator lag p99"
STATUS = "status"  # "status 200" and so on: how many

OK, TOO_MANY, UNAVAILABLE, TIMED_OUT = 200, 429, 503, 504
REFUSALS = (TOO_MANY, UNAVAILABLE)


def summarise(
    answers: Sequence[Sample],
    *,
    after: float,
    until: float,
    is_right: Callable[[Sample], bool] = lambda _: True,
) -> dict[str, float]:
    """Figures of the requests scheduled within (after, until); goodput counts right answers that came within it.

    Requests scheduled before the window and answered in it stand for those scheduled in it and answered later.
    """
    window = [answer for answer in answers if after <= answer.scheduled < until]
    good = [answer for answer in answers if after <= answer.done < until and answer.status == OK and is_right(answer)]
    accepted = [answer.latency * 1e3 for answer in window if answer.status == OK]
    refusals = [answer for answer in window if answer.status in REFUSALS]
    refused = [answer.latency * 1e3 for answer in refusals]
    told = [answer.retry_after for answer in refusals if answer.retry_after is not None]
    counts = Counter(answer.status for answer in window)
    return {
        OFFERED: len(window) / (until - after),
        GOODPUT: len(good) / (until - after),
        P50: percentile_of(accepted, 50),
        P99: percentile_of(accepted, 99),
        REFUSED: percentile_of(refused, 50),
        REFUSED_P99: percentile_of(refused, 99),
        RETRY_AFTER: percentile_of(told, 50),
        UNTOLD: len(refusals) - len(told),
        WRONG: sum(answer.status == OK and not is_right(answer) for answer in window),
        UNANSWERED: counts.pop(0, 0),
        LAG: percentile_of([answer.lag * 1e3 for answer in window], 99),
        **{f"{STATUS} {status}": count for status, count in sorted(counts.items())},
    }


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure over the rounds; a count missing in a round is 0."""
    names = list(dict.fromkeys(name for one in rounds for name in one))
    found = {}
    for name in names:
        values = [one.get(name, 0.0) for one in rounds]
        measured = [value for value in values if not math.isnan(value)]
        found[name] = statistics.median(measured) if measured else math.nan
    return found


def markdown(columns: Mapping[str, Mapping[str, float]]) -> str:
    """A table of figures, with a column for each run."""
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    names.sort(key=lambda name: name.startswith(STATUS))
    lines = [
        [name, *(_cell(figures.get(name, 0.0 if name.startswith(STATUS) else None)) for figures in columns.values())]
        for name in names
    ]
    return tables.markdown(tables.of([("figure", *columns), *lines]))


def _cell(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.0f}" if value == int(value) else tables.number(value)
