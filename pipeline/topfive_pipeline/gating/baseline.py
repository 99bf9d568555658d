"""Makes a model's baseline, what its images and answers usually are: of photos with their answers, or of /metrics.

What lives here: counting, which labels get a bucket of their own, and where the file goes. What does not: the buckets
and the form of the file, which are the service's (`topfive.ground.drift`, `topfive.repository.baseline`), and asking a
service (`gating.traffic`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from topfive.ground.drift import (
    CONFIDENCE,
    CONFIDENCE_BOUNDS,
    FORMAT_NAMES,
    FORMATS,
    LABELS,
    MEGAPIXEL_BOUNDS,
    MEGAPIXELS,
    MOST_CHARACTERS,
    MOST_LABELS,
    NONE,
    OTHER,
    Baseline,
    Sent,
    bounds_of,
    bucket_of,
    group_of,
)
from topfive.ground.errors import ConfigurationError
from topfive.images.decoding import ImageLimits
from topfive.repository.baseline import BASELINE, text_of
from topfive.repository.misplaced import CONFIG
from topfive.request.preparing.price import price_of
from topfive_loadgen.metrics import parse
from topfive_pipeline.gating.answers import Answer
from topfive_pipeline.proof.photos import Photo

LEAST_IMAGES: Final = 200
"""Of fewer images the shares are so uncertain that what is not drift would look like it."""
_MOST_NAMED: Final = MOST_LABELS // 2
_LEAST_SHARE: Final = 0.01
"""A label or a group that fewer images have gets no bucket of its own: its share would be noise."""
_MEGA: Final = 1_000_000
_NO_LIMITS: Final = ImageLimits(max_pixels=1 << 40, max_dimension=1 << 20, max_images=1)
_HISTOGRAMS: Final = {CONFIDENCE: "topfive_confidence_bucket", MEGAPIXELS: "topfive_image_megapixels_bucket"}
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a baseline's images come from, in words, and the version of the model that answered."""

    source: str
    version: str


def from_answers(photos: Sequence[Photo], answers: Sequence[Answer], origin: Origin) -> Baseline:
    """The baseline of `photos`, sent as the files that they are, and of the `answers` to them; refusals do not count.

    Raises `ConfigurationError` if too few were answered.
    """
    counts: dict[str, Counter[str]] = {signal: Counter() for signal in (CONFIDENCE, MEGAPIXELS, FORMATS)}
    firsts: Counter[tuple[str, int]] = Counter()
    for photo, answer in zip(photos, answers, strict=True):
        if answer.status != _OK:
            continue
        first, sent = answer.first, _sent(photo)
        firsts[("", 0) if first is None else (first.label, first.index)] += 1
        counts[CONFIDENCE][bucket_of(0.0 if first is None else first.probability, CONFIDENCE_BOUNDS)] += 1
        counts[MEGAPIXELS][bucket_of(sent.pixels / _MEGA, MEGAPIXEL_BOUNDS)] += 1
        counts[FORMATS][sent.form] += 1
    return _baseline({**counts, LABELS: _labels(firsts)}, origin)


def beside_report(folder: Path, photos: Sequence[Photo], answers: Sequence[Answer], origin: Origin) -> list[Path]:
    """Write the baseline of a gate's photos into its report's `folder`; nothing if too few were answered for one.

    It is for the folder of the model, once that version is live: a gate changes no repository.
    """
    if sum(answer.status == _OK for answer in answers) < LEAST_IMAGES:
        return []
    path = folder / BASELINE
    path.write_text(text_of(from_answers(photos, answers, origin)), encoding="utf-8")
    return [path]


def from_metrics(text: str, *, model: str, origin: Origin) -> Baseline:
    """The baseline of all images that a service has answered since it started, by the `text` of its /metrics.

    Raises `ConfigurationError` if those of `model` are too few, or if the text is not that of this service.
    """
    try:
        reading = parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{origin.source}: this is not Prometheus' text format ({error})") from error
    found: dict[str, Counter[str]] = {signal: Counter() for signal in (*_HISTOGRAMS, LABELS, FORMATS)}
    for (name, pairs), value in reading.values.items():
        labels = dict(pairs)
        if labels.get("model") != model:
            continue
        if name == "topfive_labels_total":
            found[LABELS][labels["label"]] += int(value)
        elif name == "topfive_image_formats_total":
            found[FORMATS][labels["format"]] += int(value)
        for signal, histogram in _HISTOGRAMS.items():
            if name == histogram:
                found[signal][labels["le"]] += int(value)
    for signal in _HISTOGRAMS:
        up_to = [found[signal][bound] for bound in bounds_of(signal)]
        below = [0, *up_to]
        found[signal] = Counter(dict(zip(bounds_of(signal), map(int.__sub__, up_to, below[:-1]), strict=True)))
    if len(found[LABELS].keys() - {OTHER, NONE}) > MOST_LABELS:
        found[LABELS] = _kept(found[LABELS])
    return _baseline(found, origin)


def write(baseline: Baseline, folder: Path) -> Path:
    """Write `baseline` beside the model in `folder`, in place of an older one; return the path of the file."""
    if not (folder / CONFIG).is_file():
        raise ConfigurationError(f"{folder}: there is no model ({CONFIG}); name its repository by --repository")
    path = folder / BASELINE
    aside = path.with_name(f".{path.name}")  # a service that polls never sees half a file
    aside.write_text(text_of(baseline), encoding="utf-8")
    aside.replace(path)
    return path


def _sent(photo: Photo) -> Sent:
    price = price_of(photo.path.read_bytes(), _NO_LIMITS)
    if price.pixels:
        return Sent(price.form, price.pixels)
    width, height = photo.image().size  # the file's first bytes do not tell its size
    return Sent(price.form, width * height)


def _labels(firsts: Mapping[tuple[str, int], int]) -> Counter[str]:
    """The counts of frequent labels by name, of the rest by group of classes, and of what is rare together."""
    total = sum(firsts.values())
    by_name: Counter[str] = Counter()
    for (label, _), count in firsts.items():
        by_name[label[:MOST_CHARACTERS] or NONE] += count
    named = {label for label, count in by_name.most_common(_MOST_NAMED) if count >= _LEAST_SHARE * total}
    counts: Counter[str] = Counter()
    for (label, index), count in firsts.items():
        name = label[:MOST_CHARACTERS] or NONE
        counts[name if name in named or name == NONE else group_of(index)] += count
    return _kept(counts, always=named)


def _kept(counts: Mapping[str, int], *, always: Iterable[str] = ()) -> Counter[str]:
    """`counts` of at most `MOST_LABELS` buckets that are not rare; all others together are `OTHER`."""
    total, kept = sum(counts.values()), {OTHER, NONE, *always}
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    frequent = [name for name, count in ordered if name not in kept and count >= _LEAST_SHARE * total]
    kept.update(frequent[: MOST_LABELS - len(kept - {OTHER, NONE})])
    found: Counter[str] = Counter({OTHER: 0, NONE: 0})
    for name, count in ordered:
        found[name if name in kept else OTHER] += count
    return found


def _baseline(counts: Mapping[str, Mapping[str, int]], origin: Origin) -> Baseline:
    images = min(sum(each.values()) for each in counts.values())
    if images < LEAST_IMAGES:
        raise ConfigurationError(
            f"{origin.source}: {images} images were answered, and a baseline needs {LEAST_IMAGES}; take more "
            "photos, or wait for more traffic"
        )
    whole = {
        CONFIDENCE: {bound: counts[CONFIDENCE].get(bound, 0) for bound in bounds_of(CONFIDENCE)},
        LABELS: dict(sorted(counts[LABELS].items(), key=lambda item: (-item[1], item[0]))),
        MEGAPIXELS: {bound: counts[MEGAPIXELS].get(bound, 0) for bound in bounds_of(MEGAPIXELS)},
        FORMATS: {form: counts[FORMATS].get(form, 0) for form in FORMAT_NAMES},
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Baseline(whole, version=origin.version, source=origin.source, created=created)
