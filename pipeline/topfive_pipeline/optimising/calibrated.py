"""What photos say of a network before any recipe is tried: the ranges of its values, and its weights rounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.optimising import calibration, inputs, rounding
from topfive_pipeline.optimising.calibration import Method, Ranges
from topfive_pipeline.optimising.machine import Kind
from topfive_pipeline.optimising.rounding import Rounded
from topfive_pipeline.optimising.source import Source


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`ranges` of each way to calibrate; `weights`: for each highest level, the layers' weights by their names."""

    ranges: Mapping[Method, Ranges]
    weights: Mapping[int, Mapping[str, Rounded]]


def calibrate(
    source: Source,
    crops: Sequence[NDArray[np.uint8]],
    *,
    methods: Sequence[Method],
    kinds: Sequence[Kind],
    progress: Callable[[str], None],
) -> Calibrated:
    """Run `source` on `crops`, UINT8 [h, w, 3] each; `kinds`: of integers that will be tried."""
    histograms = calibration.collect(source, crops, progress=lambda done, of: progress(f"calibrating, {done} of {of}"))
    layers = inputs.matrices(source)
    taken = inputs.collect(
        source, layers, crops, progress=lambda done, of: progress(f"what layers take, photo {done} of {of}")
    )
    progress("rounding the weights")
    return Calibrated(
        {method: calibration.ranges(histograms, method) for method in methods},
        {top: rounding.rounded(layers, taken, top=top) for top in sorted({kind.top for kind in kinds})},
    )
