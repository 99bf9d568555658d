"""An optimisation in sections, for terminal, Markdown and HTML alike: what was tried, the curve, and what it loses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from topfive_pipeline.judging.accuracy import POINTS
from topfive_pipeline.judging.intervals import Interval
from topfive_pipeline.judging.limits import MB
from topfive_pipeline.judging.speed import Spread
from topfive_pipeline.judging.tables import NOTHING, Section, Table, percent, rounded, signed
from topfive_pipeline.optimising.comparison import Row
from topfive_pipeline.optimising.curve import Point
from topfive_pipeline.optimising.judged import Judged
from topfive_pipeline.optimising.measuring import Speed
from topfive_pipeline.optimising.results import Optimised
from topfive_pipeline.optimising.trials import Trial

_ANSWERS: Final = (
    *("", "top-1, %", "95 %", "relative, %", "difference", "95 %", "lost / won"),
    *("same, %", "mean |Δp|", "largest |Δp|"),
)


def sections(done: Optimised, *, budget: float) -> list[Section]:
    """All sections; `budget` in points."""
    found = [_tried(done)]
    if done.curve:
        found.append(_curve(done))
    if done.rows and done.judged is not None:
        found += [_accuracy(done, done.rows[-1].judged, budget), _size_and_speed(done)]
    if done.candidates:
        found.append(_candidates(done))
    return found


def _tried(done: Optimised) -> Section:
    cpu = ", ".join(done.features) or "no instructions for dot products of bytes"
    return Section(
        key="tried",
        title="What was tried, how many times as fast as floating point on one thread (quartiles)",
        lead=f"This processor has {cpu}. {done.calibrated_on} photos calibrate, {done.held} compare trials. dB is the "
        "SQNR of the scores, KL the divergence of the probabilities in nats, same the share of photos with the same "
        "first label.",
        tables=(
            Table(
                ("", "batch 1", "batch 8", "dB", "KL", "same, %", ""),
                tuple((*_measured(trial), trial.verdict or "← best") for trial in done.trials),
            ),
        ),
    )


def _curve(done: Optimised) -> Section:
    rows = tuple(_point(point, chosen=point is done.chosen) for point in done.curve)
    best = ", ".join(f"{each.layer} {each.gain:+.1f} dB" for each in done.sensitive[:3])
    return Section(
        key="curve",
        title="The most sensitive layers in floating point",
        tables=(Table(("layers", "batch 1", "batch 8", "dB", "KL", "same, %", "loss", ""), rows),),
        notes=(f"Most sensitive: {best or 'no layer'}",),
    )


def _measured(trial: Trial) -> tuple[str, ...]:
    far = trial.distance
    title = trial.title + ("" if trial.recipe.folds_pixels else ", bytes normalised")
    return title, *map(_ratio, trial.speed.values()), f"{far.sqnr:.1f}", f"{far.divergence:.4f}", percent(far.agreement)


def _point(point: Point, *, chosen: bool) -> tuple[str, ...]:
    loss = "" if point.loss is None else f"{signed(point.loss * POINTS, 1)} points"
    return str(point.floats), *_measured(point.trial)[1:], loss, "← chosen" if chosen else ""


def _accuracy(done: Optimised, judged: Judged, budget: float) -> Section:
    return Section(
        key="accuracy",
        title=f"Accuracy on {judged.photos} photos that had no part in calibrating or choosing",
        lead="95 % of top-1: from the posterior of the errors, Beta(errors + 1, right + 1). Difference to FP32 in "
        "points, below 0 is worse; its 95 % is of paired answers (Bonett and Price 2012). |Δp|: the largest change of "
        "a probability of each photo.",
        tables=(
            Table(
                _ANSWERS,
                tuple(_answers(row, is_first=place == 0) for place, row in enumerate(done.rows)),
            ),
        ),
        notes=tuple(_verdict(done, judged, budget)),
    )


def _answers(row: Row, *, is_first: bool) -> tuple[str, ...]:
    judged, far = row.judged, row.judged.distance
    top: tuple[str, ...] = (NOTHING,) * 2
    change: tuple[str, ...] = (NOTHING,) * 4
    if judged.after is not None and judged.share is not None:
        top = percent(judged.after), f"[{percent(judged.share.low)}, {percent(judged.share.high)}]"
    if not is_first and judged.loss is not None and judged.interval is not None:
        worse = Interval(-judged.interval.high, -judged.interval.low)
        change = (
            signed(-(judged.relative or 0.0) * POINTS, 2),
            signed(-judged.loss * POINTS, 2),
            f"[{signed(worse.low * POINTS, 2)}, {signed(worse.high * POINTS, 2)}]",
            f"{judged.lost} / {judged.won}",
        )
    same = (NOTHING,) * 3 if is_first else (percent(far.agreement), f"{far.mean:.3f}", f"{far.largest:.3f}")
    return row.title, *top, *change, *same


def _verdict(done: Optimised, judged: Judged, budget: float) -> Iterator[str]:
    """What the photos say of the chosen graph, in sentences."""
    if judged.loss is None:
        most = (1 - judged.distance.agreement) * POINTS
        yield f"They have no labels, so the loss is unknown: at most {most:.1f} points, and likely less."
        return
    yield f"The graph itself: {_loss(judged)}."
    decider = judged
    if done.recipe is not None:
        decider = done.recipe
        yield (
            f"Its recipe, on {decider.photos} photos of both halves, each judged by a graph in whose making it had no "
            f"part: {_loss(decider)}, KL {decider.distance.divergence:.4f}, the same first label on "
            f"{decider.distance.agreement:.1%}."
        )
    yield f"{budget:g} points are allowed: {_meaning(done.outcome, decider)}."


def _loss(judged: Judged) -> str:
    assert judged.loss is not None
    assert judged.interval is not None
    low, high = (signed(end * POINTS, 1) for end in (judged.interval.low, judged.interval.high))
    return (
        f"the loss of top-1 is {signed(judged.loss * POINTS, 1)} points ({low} to {high} at 95 %; {judged.lost} photos "
        f"lost, {judged.won} won)"
    )


def _meaning(outcome: str | None, judged: Judged) -> str:
    some = "no number of photos like these" if judged.decides is None else f"some {rounded(judged.decides)} like these"
    is_sure = judged.decides is not None and judged.decides <= judged.photos
    if outcome == "within":
        return "it is within, and these photos prove it" if is_sure else f"it is within; {some} would prove it"
    return "it is beyond, and these photos prove it" if outcome == "beyond" else f"undecided; {some} would decide it"


def _size_and_speed(done: Optimised) -> Section:
    batches = list(done.rows[0].speed)
    first = done.rows[0]
    rows = tuple(
        (
            row.title,
            f"{row.megabytes:.1f}",
            f"{row.megabytes / first.megabytes:.2f}",
            *(_ratio(row.speed.get(batch)) for batch in batches),
        )
        for row in done.rows
    )
    columns = ("", "MB", "×", *(f"batch {batch}" for batch in batches))
    return Section(key="speed", title="Size, and times as fast as FP32 on one thread", tables=(Table(columns, rows),))


def _candidates(done: Optimised) -> Section:
    cases = [pace.case for pace in done.candidates[0].paces]
    rows = tuple(
        (
            str(each.way),
            f"{each.alone_ms:.2f}",
            *(_spread(pace.ratio) for pace in each.paces),
            NOTHING if place == 0 else _lost(each.recipe or each.judged),
            percent(each.judged.distance.agreement),
            f"{each.footprint.memory_bytes * MB:.0f}",
            "" if place == 0 else each.verdict or "← best",
        )
        for place, each in enumerate(done.candidates)
    )
    columns = ("", "alone, ms", *cases, "loss, points", "same, %", "memory, MB", "")
    return Section(
        key="candidates",
        title="Graphs on engines, as the server runs them, on all cores",
        lead="Alone: one photo after another through resize graph and network. Times as fast as the first, and the "
        "middle half of the rounds.",
        tables=(Table(columns, rows),),
    )


def _lost(judged: Judged) -> str:
    if judged.loss is None or judged.interval is None:
        return NOTHING
    low, high = (signed(end * POINTS, 1) for end in (judged.interval.low, judged.interval.high))
    return f"{signed(judged.loss * POINTS, 1)} [{low}, {high}]"


def _spread(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def _ratio(speed: Speed | None) -> str:
    return NOTHING if speed is None else f"{speed.ratio:.2f} ({speed.low:.2f}–{speed.high:.2f})"
