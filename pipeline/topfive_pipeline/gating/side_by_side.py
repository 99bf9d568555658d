"""Side by side: on photos where the two differ, who is right, or better to a person's eye; as a chapter of the gate.

What lives here: who has won a photo, and what is told. What does not: the test and what it decides (`gating.contest`),
and how people judge (`gating.blind`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from topfive_pipeline.gating import differing, judgements
from topfive_pipeline.gating.answers import Answer, PhotoAnswers
from topfive_pipeline.gating.contest import LOSING, TOLERATED, Contest, contest, population, sampled
from topfive_pipeline.gating.differing import Differing, Question, differ, said
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.sign_test import to_find
from topfive_pipeline.gating.tally import Tally, tally
from topfive_pipeline.judging.tables import NOTHING, Table, figure, percent, rounded, signed

_KEY: Final = "side-by-side"
_NAME: Final = "Side by side"
_WANTED: Final = (
    f"no loss by the sign test at 5 %, and enough photos to exclude a win rate of {100 * LOSING:.0f} % or a loss of "
    f"{100 * TOLERATED:.0f} % of all photos"
)
_LEAD: Final = (
    "Where both say the same first, neither can win. Of the photos where they differ, each is won by the one that is "
    "right, or better to a person who did not see whose answer is whose. A coin would win half; the p-value is the "
    "probability that it wins as seldom."
)
_MOST_ROWS: Final = 200
_WINNERS: Final = {1: "candidate", -1: "live", 0: "neither"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A way to tell who wins: its `title`, the contest, and on what it stands."""

    title: str
    contest: Contest
    photos: int
    differing: int


def chapter(
    answers: PhotoAnswers, *, weights: Sequence[float] | None, judged: Path | None, accept: bool = False
) -> Chapter:
    """Who wins where the two differ, by labels and by what people said; with `weights` also by frequency.

    `weights`: one for each photo, with a mean of 1 (`gating.frequency`). `judged`: the judgements of `topfive judge`.
    `accept`: what the photos cannot decide counts as met, and is noted; not what nobody has judged.
    Raises `ConfigurationError` if a photo or the judgements cannot be read.
    """
    found = differing.find(answers)
    counted = None if judged is None else tally(judgements.read(judged), [each.key for each in found.questions])
    by_label, by_eye = _by_label(answers, weights), _by_eye(found, counted, answers, weights)
    rows = [*by_label, *by_eye]
    findings = [_accepted(_finding(row)) if accept else _finding(row) for row in rows]
    unlabelled = sum(each.photo.label is None for each in found.questions)
    if unlabelled and not by_eye:
        findings.append(_unjudged(unlabelled))
    return Chapter(
        key=_KEY,
        title="Side by side",
        lead=_LEAD,
        findings=tuple(findings),
        tables=tuple(
            table
            for table in (_contests(rows), _photos(answers, found, {} if counted is None else counted.signs))
            if table.rows
        ),
        notes=tuple(_notes(found, counted, judged)),
        figures={
            "photos": found.photos,
            "differing": len(found.questions),
            "contests": {row.title: row.contest.as_figures() for row in rows},
            "judged": None if counted is None else counted.as_figures(),
        },
    )


def write(folder: Path, answers: PhotoAnswers) -> Path:
    """Write `folder`/differing.json, from which `topfive judge` shows the photos; its path."""
    return differing.write(folder, differing.find(answers))


def _by_label(answers: PhotoAnswers, weights: Sequence[float] | None) -> list[_Row]:
    """Of the labelled photos, without and with weights; empty if none is."""
    given = [1.0] * len(answers.photos) if weights is None else weights
    known = [
        (differ(candidate, live), _is_right(candidate, photo.label) - _is_right(live, photo.label), weight)
        for (photo, candidate, live), weight in zip(answers, given, strict=True)
        if photo.label is not None
    ]
    if not known:
        return []
    differs, signs = [each for each, _, _ in known], [sign for each, sign, _ in known if each]
    rows = [_row("by labels", contest(signs, population(differs)), differs)]
    if weights is not None:
        behind = population(differs, [weight for _, _, weight in known])
        weighed = contest(signs, behind, weights=[weight for each, _, weight in known if each])
        rows.append(_row("by labels and frequency", weighed, differs))
    return rows


def _by_eye(
    found: Differing, counted: Tally | None, answers: PhotoAnswers, weights: Sequence[float] | None
) -> list[_Row]:
    """Of the photos that were judged, which are some of all that differ; empty if none was."""
    judged = [each for each in found.questions if counted is not None and each.key in counted.signs]
    if counted is None or not judged:
        return []
    differs = [differ(candidate, live) for _, candidate, live in answers]
    signs = [counted.signs[each.key] for each in judged]
    behind = sampled(population(differs), len(judged) / len(found.questions))
    rows = [_row("by eye", contest(signs, behind), differs)]
    if weights is not None:
        of_all = sum(weights[each.place] for each in found.questions)
        of_judged = [weights[each.place] for each in judged]
        behind = sampled(population(differs, weights), sum(of_judged) / of_all if of_all else 1.0)
        rows.append(_row("by eye and frequency", contest(signs, behind, weights=of_judged), differs))
    return rows


def _row(title: str, found: Contest, differs: Sequence[bool]) -> _Row:
    return _Row(title=title, contest=found, photos=len(differs), differing=sum(differs))


def _is_right(answer: Answer, label: int | None) -> int:
    return int(answer.first is not None and answer.first.index == label)


def _finding(row: _Row) -> Finding:
    found, test = row.contest, row.contest.test
    seen = f"they differ on {row.differing} of {row.photos} photos"
    if test.rate is not None and test.interval is not None:
        interval = f"{percent(test.interval.low)} to {percent(test.interval.high)} %"
        seen = f"wins {percent(test.rate)} % ({interval}) of {_count(test.decided)} decided photos, p {test.worse:.2g}"
    elif row.differing:
        seen += ", none of which one has won"
    return Finding(name=f"{_NAME}, {row.title}", seen=seen, wanted=_WANTED, met=found.met, note=_doubt(found))


def _doubt(found: Contest) -> str:
    if found.met and not found.is_proven:
        would = "" if found.would_prove is None else f"; about {rounded(found.would_prove)} photos would"
        return f"The two hardly differ, but these photos do not prove that it stays so{would}."
    if found.met is not None:
        return ""
    return (
        f"Too few photos: a candidate that loses two for each that it wins would be found out with a probability of "
        f"{100 * found.found_out:.0f} %. It takes {found.lacking} more decided photos for 80 %."
    )


def _accepted(finding: Finding) -> Finding:
    if finding.met is not None:
        return finding
    note = f"Undecided, and accepted as --accept-undecided says. {finding.note}"
    return replace(finding, met=True, accepted=True, note=note)


def _unjudged(unlabelled: int) -> Finding:
    return Finding(
        name=f"{_NAME}, by eye",
        seen=f"{unlabelled} photos without a label differ, and nobody has judged them",
        wanted=_WANTED,
        met=None,
        note="Run topfive judge with the folder of this report, then the gate again with --judged.",
    )


def _contests(rows: Sequence[_Row]) -> Table:
    return Table(
        (
            "",
            "Differ",
            "Won",
            "Lost",
            "Neither",
            "Win rate, %",
            "95 %",
            "p, either way",
            "Balance, % of photos",
            "95 %",
        ),
        tuple(
            (
                row.title.capitalize(),
                f"{row.differing} of {row.photos}",
                _count(row.contest.test.won),
                _count(row.contest.test.lost),
                str(row.contest.tied),
                *_rate(row.contest),
                f"{row.contest.test.two_sided:.2g}",
                signed(100 * row.contest.balance, 2),
                f"{signed(100 * row.contest.interval.low, 2)} to {signed(100 * row.contest.interval.high, 2)}",
            )
            for row in rows
        ),
    )


def _rate(found: Contest) -> tuple[str, str]:
    test = found.test
    if test.rate is None or test.interval is None:
        return NOTHING, NOTHING
    return percent(test.rate), f"{percent(test.interval.low)} to {percent(test.interval.high)}"


def _count(photos: float) -> str:
    """Effective numbers need not be whole."""
    return f"{photos:.0f}" if float(photos).is_integer() else figure(photos)


def _photos(answers: PhotoAnswers, found: Differing, signs: Mapping[str, int]) -> Table:
    names = {
        each.index: each.label for pair in (answers.candidate, answers.live) for a in pair for each in a.predictions
    }
    return Table(
        ("Photo", "Candidate", "Live", "Label", "Right", "Better by eye"),
        tuple(
            (
                each.photo.name,
                said(each.candidate),
                said(each.live),
                NOTHING if each.photo.label is None else names.get(each.photo.label) or f"class {each.photo.label}",
                _right(each),
                _WINNERS[signs[each.key]] if each.key in signs else NOTHING,
            )
            for each in found.questions[:_MOST_ROWS]
        ),
    )


def _right(question: Question) -> str:
    label = question.photo.label
    if label is None:
        return NOTHING
    return _WINNERS[_is_right(question.candidate, label) - _is_right(question.live, label)]


def _notes(found: Differing, counted: Tally | None, judged: Path | None) -> list[str]:
    notes = []
    if len(found.questions) > _MOST_ROWS:
        notes.append(f"The table has the first {_MOST_ROWS} of {len(found.questions)} photos; differing.json has all.")
    if found.questions and counted is None:
        notes.append(f"Photos on which they differ: {len(found.questions)}; topfive judge shows them, blind.")
    if counted is not None:
        judges = ", ".join(f"{judge} {photos}" for judge, photos in counted.judges.items()) or "nobody"
        notes.append(f"Photos judged by eye: {judges}; of {len(found.questions)} that differ ({judged}).")
        if counted.kappa is not None:
            notes.append(f"Judges agree beyond chance with a kappa of {counted.kappa:.2f}; 1 is full agreement.")
        if counted.sides.two_sided <= 0.05:
            notes.append(
                f"Whoever judged preferred a side: left {counted.sides.won:.0f}, right {counted.sides.lost:.0f} times "
                f"(p {counted.sides.two_sided:.2g}); sides were dealt by chance, so this is noise, and no bias."
            )
    return [*notes, *_needed(counted)]


def _needed(counted: Tally | None) -> list[str]:
    """How many judged photos would settle who is better, if the rate stays."""
    if counted is None or not counted.signs:
        return []
    won, lost = (sum(sign == wanted for sign in counted.signs.values()) for wanted in (1, -1))
    needed = to_find(won / (won + lost), either_way=True) if won + lost else None
    if needed is None or needed <= won + lost:
        return []
    return [f"About {rounded(needed)} decided photos would tell who is better by eye, if the rate stays as it is."]
