"""What a product allows, and which models remain: limits are met or not, and of those that meet them the best is taken.

A limit is not weighed against another: a model that is too slow is out, however right it is. Only one figure is made as
good as possible (Ng, Machine Learning Yearning, chapter 9: satisficing and optimizing metrics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging.accuracy import POINTS
from topfive_pipeline.judging.results import Judged
from topfive_pipeline.judging.tables import rounded, signed

Wish = Literal["speed", "accuracy"]

MS: Final = 1e3
MB: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed; None: anything.

    `loss`: points of top-1 below the first model. `ms`: for one image that comes alone. `mb`: megabytes of memory.
    `wish`: what is to be as good as possible within these.
    """

    loss: float | None = None
    ms: float | None = None
    mb: float | None = None
    wish: Wish = "speed"

    @property
    def are_set(self) -> bool:
        return any(limit is not None for limit in (self.loss, self.ms, self.mb))

    def check(self, *, speed: bool) -> None:
        """Raise `ConfigurationError` if a limit means nothing, or is of `speed` where that is not measured."""
        for flag, limit in (("loss", self.loss), ("ms", self.ms), ("mb", self.mb)):
            if limit is not None and not limit >= 0:
                raise ConfigurationError(f"--at-most-{flag} {limit:g}: it must be 0 or more")
        if self.ms is not None and not speed:
            raise ConfigurationError("--at-most-ms needs the speed, which --rounds 0 leaves out; say more rounds")


@dataclass(frozen=True, slots=True)
class Choice:
    """The titles of the models that remain, the best of them, why each other is out, and all of it in a sentence."""

    remain: tuple[str, ...]
    best: str | None
    out: dict[str, str]
    sentence: str


def choose(models: Sequence[Judged], limits: Limits) -> Choice:
    """Which of `models`, of which the first is the reference, are within `limits`, and which is the best of them."""
    out = {model.title: why for model in models if (why := _why_out(model, limits))}
    remain = [model for model in models if model.title not in out]
    best = max(remain, key=lambda model: _worth(model, limits.wish)) if remain else None
    return Choice(
        tuple(model.title for model in remain),
        None if best is None else best.title,
        out,
        _sentence(models, remain, best, out, limits),
    )


def _why_out(model: Judged, limits: Limits) -> str:
    """Each limit that `model` is beyond, in words; "" if it meets all."""
    reasons = []
    if limits.loss is not None and (lost := _lost(model)) > limits.loss:
        reasons.append(f"loses {lost:.2f} points")
    if limits.ms is not None and (alone := model.alone) is not None and alone.seconds.median * MS > limits.ms:
        reasons.append(f"takes {alone.seconds.median * MS:.1f} ms")
    if limits.mb is not None and (memory := model.footprint.memory_bytes * MB) > limits.mb:
        reasons.append(f"takes {memory:.0f} MB")
    return " and ".join(reasons)


def _lost(model: Judged) -> float:
    """Points of top-1 below the reference."""
    return 0.0 if model.difference is None else -model.difference.top_1 * POINTS


def _worth(model: Judged, wish: Wish) -> tuple[float, ...]:
    """What is larger for a better model."""
    right = (model.accuracy.top_1.share, -model.accuracy.loss)
    fastest = model.fastest
    if wish == "accuracy" or fastest is None:
        return right
    return (-fastest.seconds.median, *right)


def _sentence(
    models: Sequence[Judged], remain: Sequence[Judged], best: Judged | None, out: dict[str, str], limits: Limits
) -> str:
    why = "; ".join(f"{title} {reason}" for title, reason in out.items())
    allowed = _allowed(limits)
    if best is None:
        return f"No model is within {allowed}: {why}."
    if not out:
        kept = "All models remain" if len(models) > 1 else "It remains"
    elif len(remain) == 1:
        kept = f"Only {best.title} remains"
    else:
        kept = f"{len(remain)} of {len(models)} models remain"
    said = f"{kept} within {allowed}"
    if len(remain) > 1:
        what = "fastest" if limits.wish == "speed" and best.fastest is not None else "most accurate"
        said += f"; the {what} of them is {best.title}"
    said += _how(best, models[0], limits)
    return f"{said}; out: {why}." if out else f"{said}."


def _allowed(limits: Limits) -> str:
    said = []
    if limits.loss is not None:
        said.append(f"{limits.loss:g} points of loss")
    if limits.ms is not None:
        said.append(f"{limits.ms:g} ms for an image alone")
    if limits.mb is not None:
        said.append(f"{limits.mb:g} MB of memory")
    return " and ".join(filter(None, [", ".join(said[:-1]), said[-1]]))


def _how(best: Judged, reference: Judged, limits: Limits) -> str:
    """What is gained and lost by the best, and whether the photos prove that it is within the limit."""
    if best.difference is None:
        return ""
    difference, fastest = best.difference, best.fastest
    speed = "" if fastest is None else f", {fastest.ratio.median:.2f} times as fast as {reference.title}"
    low, high = (signed(end * POINTS, 2) for end in (difference.interval.low, difference.interval.high))
    proof = ""
    if limits.loss is not None and difference.interval.low * POINTS < -limits.loss:
        more = difference.decides_budget
        proof = f"; these photos do not prove it{'' if more is None else f', about {rounded(more)} would'}"
    return f"{speed}, top-1 {signed(difference.top_1 * POINTS, 2)} points ({low} to {high}{proof})"
