"""Quality, over HTTP: how often both contestants are right, what the candidate loses, and how often they agree.

What lives here: figures of answers to the same photos, and what must hold of them. What does not: asking
(`gating.asking`), the formulas (`judging.intervals`), and which of two different answers is better
(`gating.side_by_side`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from topfive_pipeline.gating.answers import PhotoAnswers, Prediction
from topfive_pipeline.gating.client import BUSY, OK
from topfive_pipeline.gating.deciding import Decision, decided
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.paired import Paired, agreed, paired
from topfive_pipeline.judging.accuracy import POINTS
from topfive_pipeline.judging.intervals import Interval
from topfive_pipeline.judging.tables import NOTHING, Table, percent, signed

BUDGET: Final = 0.5
"""Points of top-1 and of top-5 that a candidate may lose."""
MIN_AGREEMENT: Final = 0.9
"""The share of same first labels that is asked for where no labels tell what is right."""
_TOP: Final = 5
_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """What must hold. `budget`: in points. `agreement`: a share; None for `MIN_AGREEMENT` where labels are unknown.

    `accept_undecided`: what the photos cannot decide counts as met.
    """

    budget: float = BUDGET
    agreement: float | None = None
    accept_undecided: bool = False


def chapter(answers: PhotoAnswers, limits: Limits, *, weights: Sequence[float] | None = None) -> Chapter:
    """What `answers` tell; `weights`: how often each photo is sent, in any unit."""
    both = [place for place, (_, ours, theirs) in enumerate(answers) if ours.status == theirs.status == OK]
    known = [place for place in _counted(answers) if answers.photos[place].label is not None]
    findings = [*_answered(answers), *_names(answers, both)]
    tables: list[Table] = []
    figures: dict[str, object] = {"photos": len(answers.photos), "answered_by_both": len(both)}
    metrics: dict[str, float] = {}
    if known:
        right = [paired(answers, known, top) for top in _tops(answers)]
        findings += [_loss(each, limits) for each in right]
        tables.append(_accuracy(right))
        figures["accuracy"] = [each.as_json() for each in right]
        metrics |= _metrics(right[0])
        if weights is not None and any(weights[place] for place in known):
            weighted = paired(answers, known, 1, weights)
            findings.append(_loss(weighted, limits))
            figures["accuracy_by_frequency"] = weighted.as_json()
    if both:
        same = agreed(answers, both, weights)
        figures["agreement"] = same.as_json()
        metrics |= {"agreement": same.share, "largest_change": same.largest_change}
        tables.append(Table(("agreement of the answers", "", "interval of 95 %"), tuple(same.rows())))
        least = limits.agreement if limits.agreement is not None or known else MIN_AGREEMENT
        if least is not None:
            decision = decided(same.share, same.interval, least=least, more=None, accept=limits.accept_undecided)
            findings.append(_alike(same.share, least, decision, tuple(_differing(answers, both))))
    else:
        findings.append(Finding(name="quality", seen="no photo is answered by both", wanted="an answer", met=None))
    return Chapter(
        key="quality",
        title="Quality",
        lead=_lead(answers, known),
        findings=tuple(findings),
        tables=tuple(tables),
        notes=tuple(_notes(answers, known, limits)),
        figures=figures | {"metrics": metrics},
    )


def _metrics(found: Paired) -> dict[str, float]:
    """For the record, under the names that `topfive evaluate` has for them."""
    return {
        "top_1": found.candidate.share,
        "top_1_low": found.candidate.interval.low,
        "top_1_high": found.candidate.interval.high,
        "difference": found.difference,
        "difference_low": found.interval.low,
        "difference_high": found.interval.high,
    }


def _alike(share: float, least: float, decision: Decision, reasons: tuple[str, ...]) -> Finding:
    """That the first label mostly stays."""
    return Finding(
        name="same first label",
        seen=f"{percent(share)} %",
        wanted=f"≥ {least * POINTS:g} %",
        met=decision.met,
        accepted=decision.accepted,
        note=decision.note,
        reasons=reasons,
    )


def _tops(answers: PhotoAnswers) -> Sequence[int]:
    """1, and 5 if so many labels are answered: among fewer, each class always is."""
    most = max(len(each.predictions) for each in (*answers.candidate, *answers.live))
    return (1, _TOP) if most >= _TOP else (1,)


def _counted(answers: PhotoAnswers) -> Iterator[int]:
    """The photos that tell of quality: those that at least one of both answers; busy is no answer at all."""
    for place, (_, ours, theirs) in enumerate(answers):
        if OK in (ours.status, theirs.status) and BUSY not in (ours.status, theirs.status):
            yield place


def _answered(answers: PhotoAnswers) -> Iterator[Finding]:
    """That the candidate answers what the live version answers."""
    lost = [(photo, ours) for photo, ours, theirs in answers if theirs.status == OK and ours.status not in (OK, BUSY)]
    busy = sum(BUSY in (ours.status, theirs.status) for _, ours, theirs in answers)
    names = [f"{photo.name}: {ours.status} {ours.code}" for photo, ours in lost]
    met = False if lost else None if busy else True
    yield Finding(
        name="photos refused that live answers",
        seen=f"{len(lost)} of {len(answers.photos)}",
        wanted="≤ 0",
        met=met,
        note=f"{busy} photos were refused as too busy (429), which tells nothing" if busy else "",
        reasons=tuple(names[:_EXAMPLES]),
    )


def _names(answers: PhotoAnswers, both: Sequence[int]) -> Iterator[Finding]:
    """That each index has the same name in both: tables of labels are swapped more often than networks."""
    theirs = {each.index: each.label for place in both for each in answers.live[place].predictions}
    ours = {each.index: each.label for place in both for each in answers.candidate[place].predictions}
    shared = sorted(theirs.keys() & ours.keys())
    other = [f"{index}: {theirs[index]!r} is now {ours[index]!r}" for index in shared if theirs[index] != ours[index]]
    if shared:
        yield Finding(
            name="classes with another name",
            seen=f"{len(other)} of {len(shared)}",
            wanted="≤ 0",
            met=not other,
            note="seen in the answers to these photos" if other else "",
            reasons=tuple(other[:_EXAMPLES]),
        )


def _loss(found: Paired, limits: Limits) -> Finding:
    least = -limits.budget / POINTS
    more = found.photos_to_decide(least)
    decision = decided(found.difference, found.interval, least=least, more=more, accept=limits.accept_undecided)
    return Finding(
        name=f"top-{found.top} difference{' by frequency' if found.weighted else ''}",
        seen=f"{signed(found.difference * POINTS, 2)} points",
        wanted=f"≥ {signed(-limits.budget, 2)} points",
        met=decision.met,
        accepted=decision.accepted,
        note="; ".join(filter(None, [f"interval of 95 %: {_points(found.interval)}", decision.note])),
    )


def _accuracy(right: Sequence[Paired]) -> Table:
    columns = ("", "candidate, %", "interval", "live, %", "interval", "difference, points", "interval", "lost / won")
    rows = []
    for each in right:
        shares = [cell for one in (each.candidate, each.live) for cell in (percent(one.share), _percents(one.interval))]
        difference = signed(each.difference * POINTS, 2)
        counts = f"{each.lost:g} / {each.won:g}"
        rows.append((f"top-{each.top}", *shares, difference, _points(each.interval), counts))
    return Table(columns, tuple(rows))


def _differing(answers: PhotoAnswers, both: Sequence[int]) -> Iterator[str]:
    """The first photos with another first label."""
    shown = 0
    for place in both:
        ours, theirs = answers.candidate[place].first, answers.live[place].first
        if shown < _EXAMPLES and _label(ours) != _label(theirs):
            shown += 1
            yield f"{answers.photos[place].name}: {_label(ours)}, was {_label(theirs)}"


def _label(prediction: Prediction | None) -> str:
    return NOTHING if prediction is None else prediction.label


def _lead(answers: PhotoAnswers, known: Sequence[int]) -> str:
    if not known:
        return (
            f"{len(answers.photos)} photos were sent to both, as files. What they show is not known, so it can only be "
            "told how often both answer the same."
        )
    labelled = "all of them" if len(known) == len(answers.photos) else f"{len(known)} of them"
    return (
        f"{len(answers.photos)} photos were sent to both, as files; of {labelled} it is known what they show. The "
        "difference is of the same photos, so its interval is narrower than those of the shares; a photo that is "
        "refused counts as wrong."
    )


def _notes(answers: PhotoAnswers, known: Sequence[int], limits: Limits) -> Iterator[str]:
    neither = sum(OK not in (ours.status, theirs.status) for _, ours, theirs in answers)
    if neither:
        yield f"{neither} photos are answered by neither, and count for nothing."
    if not known and limits.agreement is None:
        yield (
            f"That {MIN_AGREEMENT:.0%} of the first labels are the same is asked for because no labels are known; "
            "--min-agreement changes it, and labels (labels.csv) tell what is right."
        )


def _points(interval: Interval) -> str:
    return f"{signed(interval.low * POINTS, 2)} to {signed(interval.high * POINTS, 2)}"


def _percents(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"
