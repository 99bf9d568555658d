"""What is watched for drift: four signals of each answered image, their buckets, and the baseline they are held to.

What lives here: values, and to which bucket an image belongs. What does not: counting (`observe.drift`), a baseline's
file (`repository.baseline`), and how far a distribution is from its baseline (deploy/prometheus/rules/drift.yml).

The buckets are the same in every process and every release of one format of the file, whatever comes: so counts of
several processes can be added, and a baseline says the same everywhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = "confidence"
LABELS: Final = "labels"
MEGAPIXELS: Final = "megapixels"
FORMATS: Final = "formats"
SIGNALS: Final = (CONFIDENCE, LABELS, MEGAPIXELS, FORMATS)

CONFIDENCE_BOUNDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MEGAPIXEL_BOUNDS: Final = (0.06, 0.12, 0.25, 0.5, 1.1, 2.1, 4.2, 8.5, 12.5, 16.5, 25.0, 51.0)
"""Each is just above what cameras and screens make: 224 x 224, full HD, 4K, 12 and 50 megapixels."""
RAW: Final = "raw"
"""Pixels that are in no file."""
FORMAT_NAMES: Final = ("jpeg", "png", "webp", "gif", "bmp", "avif", "tiff", "heic", RAW)
ABOVE_ALL: Final = "+Inf"
"""The bucket above the last bound, as Prometheus calls it."""

OTHER: Final = "(other)"
NONE: Final = "(none)"
"""The bucket of an image for which the model put out no label."""
MOST_LABELS: Final = 40
"""The most buckets of labels in a baseline, besides these two."""
MOST_CHARACTERS: Final = 120
"""A longer label counts by its beginning."""
_NAMED: Final = 32
"""Without a baseline, so many classes count by their names; as many make a group."""
_GROUPED: Final = 1024


@dataclass(frozen=True, slots=True)
class Sent:
    """An image as its client sent it: its format, one of `FORMAT_NAMES`, and how many pixels it has."""

    form: str
    pixels: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual: of each signal, how many images fell into each bucket.

    `version`: of the model that answered; `source`: where the images came from; `created`: when, in ISO 8601. The last
    three are for people.
    """

    counts: Mapping[str, Mapping[str, int]]
    version: str
    source: str
    created: str

    def images(self, signal: str) -> int:
        """How many images were counted."""
        return sum(self.counts[signal].values())


def bounds_of(signal: str) -> Sequence[str]:
    """The buckets of a signal that is a number, in their order, named by their upper bounds; else none."""
    bounds = {CONFIDENCE: CONFIDENCE_BOUNDS, MEGAPIXELS: MEGAPIXEL_BOUNDS}.get(signal)
    return () if bounds is None else (*map(str, bounds), ABOVE_ALL)


def bucket_of(value: float, bounds: Sequence[float]) -> str:
    """The bucket of a number: a bound belongs to the bucket below it, as in Prometheus."""
    at = bisect_left(bounds, value)
    return str(bounds[at]) if at < len(bounds) else ABOVE_ALL


def group_of(index: int) -> str:
    """The group of classes that the class `index` is in: neighbours are often alike, as in ImageNet."""
    if index >= _GROUPED:
        return OTHER
    first = index - index % _NAMED
    return f"classes {first}-{first + _NAMED - 1}"


class LabelBuckets:
    """The bucket of each label: at most `MOST_LABELS` and two of them with a baseline, 66 without one.

    `known`: the baseline's buckets. A label that is none of them counts with its group, if that is one, else as other.
    Without a baseline (None), the first 32 classes count by name, the others by group. So processes that know
    nothing of each other agree.
    """

    def __init__(self, known: Collection[str] | None) -> None:
        self._known = None if known is None else frozenset((*known, OTHER, NONE))
        self._names: dict[int, str] = {}

    def of(self, label: str, index: int) -> str:
        """The bucket of the class `index`, which the model calls `label`; empty if it put out none."""
        if not label:
            return NONE
        name = label[:MOST_CHARACTERS]
        if self._known is not None:
            return next((bucket for bucket in (name, group_of(index)) if bucket in self._known), OTHER)
        if index >= _NAMED:
            return group_of(index)
        # A graph may call a class now this, now that; then only its first name counts.
        return name if self._names.setdefault(index, name) == name else OTHER
