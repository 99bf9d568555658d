"""The metrics of a record: the figures of a judgement under the names that every command uses for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from topfive_pipeline.experiments.runs import DATA
from topfive_pipeline.judging.results import Judged
from topfive_pipeline.judging.speed import ALONE
from topfive_pipeline.judging.split import fingerprint, in_part
from topfive_pipeline.proof.photos import Photo

TOP_1 = "top_1"
LOSS = "loss"
SPEED = "speed_batch_8"
"""How many times as fast as the model that it is compared with, at this batch."""
_MEGA = 1e6
_MILLI = 1e3


def of_model(judged: Judged) -> dict[str, float]:
    """All figures of one model: shares from 0 to 1, nats, ms, MB and s, and ratios to the model that came first."""
    accuracy, footprint = judged.accuracy, judged.footprint
    return {
        TOP_1: accuracy.top_1.share,
        "top_1_low": accuracy.top_1.interval.low,
        "top_1_high": accuracy.top_1.interval.high,
        **({} if accuracy.top_5 is None else {"top_5": accuracy.top_5.share}),
        LOSS: accuracy.loss,
        **dict(_differences(judged)),
        **dict(_paces(judged)),
        "size_mb": footprint.size_bytes / _MEGA,
        "memory_mb": footprint.memory_bytes / _MEGA,
        "load_s": footprint.load_seconds,
    }


def _differences(judged: Judged) -> Iterator[tuple[str, float]]:
    if (difference := judged.difference) is not None:
        yield "difference", difference.top_1
        yield "difference_low", difference.interval.low
        yield "difference_high", difference.interval.high
        yield "agreement", difference.agreement
        yield "largest_change", difference.largest_change


def _paces(judged: Judged) -> Iterator[tuple[str, float]]:
    for pace in judged.paces:
        case = "alone" if pace.case == ALONE else f"batch_{pace.batch}"
        yield f"ms_{case}", pace.seconds.median * _MILLI
        if judged.difference is not None:
            yield f"speed_{case}", pace.ratio.median
            yield f"speed_{case}_low", pace.ratio.low
            yield f"speed_{case}_high", pace.ratio.high


def of_photos(judged: Sequence[Photo], *, given: Sequence[Photo] = ()) -> dict[str, str]:
    """The tags of data: the fingerprint of the photos that the figures are of, with their classes, and their number.

    `given`: all photos that were given, if others than the `judged` calibrated. Raises `ConfigurationError` if a photo
    cannot be read.
    """
    tags = {DATA: fingerprint(judged), "data.photos": str(len(judged))}
    if given:
        tags["data.given.sha256"], tags["data.given.photos"] = fingerprint(given), str(len(given))
        tags["data.calibrate.sha256"] = fingerprint(in_part(given, "calibrate"))
    return tags
