"""Finds the range of each value of a network on photos, which its 256 levels are then spread over.

Three ways, from the same histograms: `max` takes all that occurs; `percentile` cuts what is rarer than one in ten
thousand; `entropy` cuts where the distribution in 256 levels differs least from the one in 2048 (Kullback-Leibler, as
TensorRT's calibrator: S. Migacz, "8-bit Inference with TensorRT", GTC 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray

from topfive_pipeline.graphs.running import session
from topfive_pipeline.optimising.source import Source, with_outputs

Method = Literal["max", "entropy", "percentile"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
Ranges = dict[str, tuple[float, float]]
"""The lowest and the highest number of each value, by its name; zero is always within."""

_BINS: Final = 2048
_LEVELS: Final = 256
_RARE: Final = 1e-4
_CUTS: Final = np.linspace(1.0, 0.1, 46)
"""The shares of the range that `entropy` tries."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a value's numbers fell into each of equal bins from `low` to `high`.

    Zeros, half of what leaves a Relu, are not counted: they lose nothing, for an integer stands for zero exactly.
    """

    low: float
    high: float
    counts: NDArray[np.int64]


def collect(
    source: Source, crops: Sequence[NDArray[np.uint8]], *, progress: Callable[[int, int], None]
) -> dict[str, Histogram]:
    """Run the network on `crops`, each UINT8 [h, w, 3], and count the numbers of all values that may be quantised.

    Twice: the first time for the ends of the histograms.
    """
    names = sorted(_values(source))
    running = session(with_outputs(source.model, names))
    (taken,) = (each.name for each in running.get_inputs())
    ends = dict.fromkeys(names, (0.0, 0.0))
    for done, crop in enumerate(crops):
        for name, array in zip(names, running.run(names, {taken: crop[np.newaxis]}), strict=True):
            low, high = ends[name]
            ends[name] = min(low, float(array.min())), max(high, float(array.max()))
        progress(done + 1, 2 * len(crops))
    counts = {name: np.zeros(_BINS, np.int64) for name in names}
    for done, crop in enumerate(crops):
        for name, array in zip(names, running.run(names, {taken: crop[np.newaxis]}), strict=True):
            low, high = ends[name]
            width = (high - low) / _BINS or 1.0
            places = ((array.ravel() - np.float32(low)) * np.float32(1 / width)).astype(np.int32)
            counts[name] += np.bincount(places.clip(0, _BINS - 1), minlength=_BINS)
            zero = min(int(-low / width), _BINS - 1)
            counts[name][zero] -= array.size - np.count_nonzero(array)
        progress(len(crops) + done + 1, 2 * len(crops))
    return {name: Histogram(*ends[name], counts[name]) for name in names}


def ranges(histograms: dict[str, Histogram], method: Method) -> Ranges:
    """The range of each value by `method`."""
    way = {"max": _whole, "entropy": _by_entropy, "percentile": _by_percentile}[method]
    return {name: way(histogram) for name, histogram in histograms.items()}


def _values(source: Source) -> Iterator[str]:
    """The names of the floating-point values that the network's nodes read or write."""
    known = {info.name: info.type.tensor_type.elem_type for info in source.model.graph.value_info}
    named = {name for node in source.model.graph.node if node.name in source.nodes for name in node.input}
    named |= {name for node in source.model.graph.node if node.name in source.nodes for name in node.output}
    return (name for name in named if known.get(name) == onnx.TensorProto.FLOAT)


def _whole(histogram: Histogram) -> tuple[float, float]:
    return histogram.low, histogram.high


def _by_percentile(histogram: Histogram) -> tuple[float, float]:
    """Without what is rarer than `_RARE`, half of it at either end; an end at zero is kept."""
    total = histogram.counts.sum()
    edges = np.linspace(histogram.low, histogram.high, _BINS + 1)
    share = np.cumsum(histogram.counts) / max(total, 1)
    first = int(np.searchsorted(share, _RARE / 2, side="right"))
    last = int(np.searchsorted(share, 1 - _RARE / 2))
    return min(0.0, float(edges[first])), max(0.0, float(edges[min(last, _BINS - 1) + 1]))


def _by_entropy(histogram: Histogram) -> tuple[float, float]:
    """Both ends are drawn in by the same share: the one whose 256 levels tell most of the whole."""
    width = (histogram.high - histogram.low) / _BINS
    if width == 0:
        return histogram.low, histogram.high
    zero = -histogram.low / width
    best, chosen = np.inf, 1.0
    for share in _CUTS:
        first = int(np.floor(zero * (1 - share)))
        last = int(np.ceil(zero + (_BINS - zero) * share))
        if last - first < _LEVELS:
            break
        lost = _divergence(histogram.counts, first, last)
        if lost < best:
            best, chosen = lost, float(share)
    return histogram.low * chosen, histogram.high * chosen


def _divergence(counts: NDArray[np.int64], first: int, last: int) -> float:
    """KL(p, q) in nats: p has the bins `first` to `last` and in its ends what is beyond; q is their 256 levels."""
    kept = counts[first:last].astype(np.float64)
    clipped = kept.copy()
    clipped[0] += counts[:first].sum()
    clipped[-1] += counts[last:].sum()
    level = np.arange(len(kept)) * _LEVELS // len(kept)
    there = kept > 0
    filled = np.bincount(level, there, minlength=_LEVELS)
    spread = np.bincount(level, kept, minlength=_LEVELS) / np.maximum(filled, 1)
    levels = np.where(there, spread[level], 0.0)
    share, other = clipped / clipped.sum(), levels / max(levels.sum(), 1.0)
    where = share > 0
    return float((share[where] * np.log(share[where] / np.maximum(other[where], 1e-12))).sum())
