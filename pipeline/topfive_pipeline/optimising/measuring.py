"""Measures graphs: how fast they are beside one another, and how far their scores are from those of another graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

BATCH: Final = 8
_TAKES: Final = 0.04
"""Seconds that a graph runs in a round, at least."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How many times as fast a graph is as another at one batch size: the median of rounds, and their quartiles."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} × ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Distance:
    """How far scores [n, k] are from those of the network in floating point.

    `sqnr`: signal to quantisation noise, dB. `divergence`: mean KL of softmax probabilities, nats. `agreement`: share
    of images with the same best class. `largest`: the largest difference of a probability; `mean`: the mean over images
    of the largest of each.
    """

    sqnr: float
    divergence: float
    agreement: float
    largest: float
    mean: float


def served_session(model: Any, *, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session of the ModelProto `model` on the CPU as servers run it: `threads` for a run, and no spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def with_scores(model: Any, scores: str) -> Any:
    """`model` with the value `scores` as its only output; the model itself if it has that already."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.output[:]
    result.graph.output.append(onnx.helper.make_tensor_value_info(scores, onnx.TensorProto.FLOAT, None))
    return result


def scores_of(model: Any, scores: str, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """FP64 [n, k]: the value `scores` for each of `crops`, UINT8 [h, w, 3]."""
    running = served_session(with_scores(model, scores), threads=0)
    (taken,) = (each.name for each in running.get_inputs())
    rows = [
        running.run(None, {taken: np.stack(crops[first : first + BATCH])})[0] for first in range(0, len(crops), BATCH)
    ]
    return np.concatenate(rows).reshape(len(crops), -1).astype(np.float64)


def distance(scores: NDArray[np.float64], reference: NDArray[np.float64]) -> Distance:
    """How far `scores` are from `reference`, both [n, k]."""
    noise = float(np.square(scores - reference).sum())
    signal = float(np.square(reference).sum())
    sqnr = 10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30)))
    chances, wanted = _softmax(scores), _softmax(reference)
    logs = np.log(np.maximum(wanted, 1e-30)) - np.log(np.maximum(chances, 1e-30))
    same = best_classes(scores) == best_classes(reference)
    changes = np.abs(chances - wanted).max(axis=1)
    return Distance(
        sqnr=sqnr,
        divergence=float((wanted * logs).sum(axis=1).mean()),
        agreement=float(same.mean()),
        largest=float(changes.max()),
        mean=float(changes.mean()),
    )


def speeds(
    models: Sequence[Any],
    crop: NDArray[np.uint8],
    *,
    rounds: int = 7,
    batches: Sequence[int] = (1, BATCH),
    step: Callable[[], None] = lambda: None,
) -> list[dict[int, Speed]]:
    """How fast each of `models` is beside the first, by batch size, on one thread.

    In every round each runs in turn, so that what else the machine does slows all alike; a ratio is of one round.
    `step` is called after each round.
    """
    running = [served_session(model) for model in models]
    result: list[dict[int, Speed]] = [{} for _ in models]
    for batch in batches:
        feed = {running[0].get_inputs()[0].name: np.repeat(crop[np.newaxis], batch, axis=0)}
        repeats = [_repeats(each, feed) for each in running]
        taken = np.zeros((rounds, len(models)))
        for place in range(rounds):
            for which, each in enumerate(running):
                started = time.perf_counter()
                for _ in range(repeats[which]):
                    each.run(None, feed)
                taken[place, which] = (time.perf_counter() - started) / repeats[which]
            step()
        ratios = taken[:, :1] / taken
        for which in range(len(models)):
            low, high = np.quantile(ratios[:, which], (0.25, 0.75))
            result[which][batch] = Speed(median(ratios[:, which]), float(low), float(high))
    return result


def _repeats(running: onnxruntime.InferenceSession, feed: dict[str, Any]) -> int:
    """How often to run in a round; the first run is not counted, for it allocates."""
    running.run(None, feed)
    started = time.perf_counter()
    running.run(None, feed)
    return max(1, round(_TAKES / max(time.perf_counter() - started, 1e-6)))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def best_classes(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The best class of each row; one column stands for yes against no."""
    return scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0).astype(np.int64)
