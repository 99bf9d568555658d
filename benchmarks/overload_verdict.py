"""The verdict on an overload run: the figures' medians over the rounds, the targets, the faults.

Pure: no clock, no process, no file. Ratios are computed within each round; then the median is taken, as in `figures`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import load_figures as f
from benchmarks.figures import BYSTANDER_LIMIT, DISTURBED_LIMIT
from topfive_loadgen import verdict
from topfive_loadgen.plan import Sample
from topfive_loadgen.verdict import Check

CLOSED, BELOW, TWICE, DEADLINES = "closed loop", "80 %", "2 ×", "2 × deadlines"
BELOW_SHARE = 0.8

# Further figures besides those of `load_figures`; CPU in cores.
GENERATOR_CPU, SERVICE_CPU, OTHERS_CPU = "CPU of generator", "CPU of service", "CPU of others"
LATE, LATEST, BATCH = "200 too late", "latest 200", "longest batch"  # of a phase with deadlines; times in ms

SLACK_SECONDS = 0.010
"""Allowed on top of a deadline and a batch: the way to the service and back, and the client's wait for a core."""

GOODPUT_LEAST, REFUSED_MS_MOST, TAIL_MOST = 0.95, 5.0, 2.0


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase in one round: its figures, and its faults.

    `answers`, for the picture: when each request was due, its latency and its status.
    """

    name: str
    round: int
    figures: Mapping[str, float]
    faults: Sequence[str] = ()
    answers: Sequence[tuple[float, float, int]] = ()


def lateness(answers: Sequence[Sample], *, timeout_seconds: float) -> dict[str, float]:
    """How many good answers came later than their deadline plus one batch.

    Answers were read by `answers.top_and_inference`. One batch is allowed, the longest of the phase, because a request
    may enter a batch just before its deadline. The deadline counts from the first byte sent.
    """
    good = [answer for answer in answers if answer.status == f.OK]
    batch = max((answer.seen[1] for answer in good if isinstance(answer.seen, tuple)), default=0.0)
    took = [answer.done - answer.sent for answer in good]
    bound = timeout_seconds + batch + SLACK_SECONDS
    return {
        LATE: sum(seconds > bound for seconds in took),
        LATEST: max(took, default=math.nan) * 1e3,
        BATCH: batch * 1e3,
    }


def checks(phases: Sequence[Phase]) -> list[Check]:
    """Check each target against its median over the rounds; targets that forbid something, against all rounds."""
    goodput = [
        found[TWICE][f.GOODPUT] / max(one[f.GOODPUT] for name, one in found.items() if name not in (TWICE, DEADLINES))
        for found in _rounds(phases)
    ]
    tail = [found[TWICE][f.P99] / found[BELOW][f.P99] for found in _rounds(phases)]
    twice = f.medians([phase.figures for phase in phases if phase.name == TWICE])
    return [
        verdict.at_least("goodput at 2 × ÷ peak", _median(goodput), GOODPUT_LEAST),
        verdict.at_most("refusals at 2 ×, median", twice[f.REFUSED], REFUSED_MS_MOST, unit="ms"),
        verdict.at_most("p99 of accepted, 2 × ÷ 80 %", _median(tail), TAIL_MOST),
        _never("answers later than deadline and batch", phases, LATE),
        _never("refusals without Retry-After", phases, f.UNTOLD),
        _never("requests without an answer", phases, f.UNANSWERED),
        _never("wrong answers", phases, f.WRONG),
        verdict.none_of("statuses that overload does not explain", _unexpected(phases)),
    ]


def faults(phases: Sequence[Phase]) -> list[str]:
    """Why the run is INVALID: the generator was late, or other programs used the machine in too many phases."""
    disturbed = [phase for phase in phases if phase.figures.get(OTHERS_CPU, 0.0) > BYSTANDER_LIMIT]
    too_many = len(disturbed) > DISTURBED_LIMIT * len(phases)
    return [
        *(f"round {phase.round + 1}, {phase.name}: {fault}" for phase in phases for fault in phase.faults),
        *([f"other processes used the CPU in {len(disturbed)} of {len(phases)} phases"] if too_many else []),
    ]


def line(phase: Phase) -> str:
    """One phase as a line of progress."""
    shown = (f.OFFERED, f.GOODPUT, f.P99, f.REFUSED)
    return "  ".join(f"{name} {phase.figures[name]:.4g}" for name in shown if name in phase.figures)


def markdown(phases: Sequence[Phase]) -> str:
    """A table of the medians over the rounds, with a column for each phase."""
    names = dict.fromkeys(phase.name for phase in phases)
    columns = {name: f.medians([phase.figures for phase in phases if phase.name == name]) for name in names}
    rounds = len(_rounds(phases))
    note = f"Medians over {rounds} rounds. Latencies in ms from the scheduled time; CPU in cores; counts are per round."
    return f"## Overload\n\n{f.markdown(columns)}\n\n{note}"


def _rounds(phases: Sequence[Phase]) -> list[dict[str, Mapping[str, float]]]:
    found: dict[int, dict[str, Mapping[str, float]]] = {}
    for phase in phases:
        found.setdefault(phase.round, {})[phase.name] = phase.figures
    return list(found.values())


def _median(values: Sequence[float]) -> float:
    return f.medians([{"": value} for value in values])[""]


def _never(name: str, phases: Sequence[Phase], figure: str) -> Check:
    return verdict.at_most(name, sum(phase.figures.get(figure, 0.0) for phase in phases), 0)


def _unexpected(phases: Sequence[Phase]) -> list[str]:
    allowed: Callable[[str], bool] = {str(status) for status in (f.OK, *f.REFUSALS)}.__contains__
    return [
        f"{phase.name}: {count:.0f} × {name}"
        for phase in phases
        for name, count in phase.figures.items()
        if name.startswith(f.STATUS)
        and not allowed(status := name.split()[-1])
        and not (phase.name == DEADLINES and status == str(f.TIMED_OUT))
    ]
