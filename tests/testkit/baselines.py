"""A baseline for tests: every bucket has images, and none of them is special."""

from __future__ import annotations

from typing import Final

from topfive.ground.drift import (
    CONFIDENCE,
    FORMAT_NAMES,
    FORMATS,
    LABELS,
    MEGAPIXELS,
    NONE,
    OTHER,
    Baseline,
    bounds_of,
)

BASE: Final = Baseline(
    counts={
        CONFIDENCE: {bucket: 10 * place for place, bucket in enumerate(bounds_of(CONFIDENCE))},
        LABELS: {"tabby": 300, "espresso": 200, "classes 832-863": 40, OTHER: 100, NONE: 0},
        MEGAPIXELS: {bucket: 50 + place for place, bucket in enumerate(bounds_of(MEGAPIXELS))},
        FORMATS: dict(zip(FORMAT_NAMES, (500, 80, 20, 0, 0, 0, 1, 2, 10), strict=True)),
    },
    version="1",
    source="a test",
    created="2026-11-27T12:00:00+00:00",
)
