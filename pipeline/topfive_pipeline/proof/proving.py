"""Proves a written model against what it was made from: the original network, and Pillow's preprocessing.

The steps are in the order of a request, so the first that fails is where the fault is: resizing, network, sums,
batches, the server. What does not live here: the preprocessing that the reference means (`preprocessing.reference`),
and what only some have, frameworks and Triton.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.reference import pixels
from topfive_pipeline.proof import frameworks, on_triton
from topfive_pipeline.proof.answers import NO_LABEL, difference, fault_of
from topfive_pipeline.proof.models import Original, Progress, Written
from topfive_pipeline.proof.photos import Photo, Unreadable, odd_images
from topfive_pipeline.proof.served import serve
from topfive_pipeline.proof.verdict import LEVELS, RARE, Finding, Proof

_FLOATS: Final = ("probabilities", "embedding")
"""What a batch may change by a rounding."""
_BATCH: Final = 4
_SERVED: Final = 3
"""Photos that servers are asked for: they run the same files as the steps before, so few are enough."""
_SERVED_SIZES: Final = ("1x1", "3x900", "900x3", "255x257")
"""Of the images of odd sizes, those that the server is asked for: all of them went through the graph before."""


@dataclass(frozen=True, slots=True)
class _Bench:
    """What the steps work on; `crops` are the written model's and Pillow's of each photo, kept from the first step."""

    written: Written
    original: Original
    photos: Sequence[Photo]
    progress: Progress
    named: frameworks.Named
    tritonserver: Path | None
    figures: dict[str, float]
    crops: dict[Path, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        return self.figures["tolerance"]


def prove(
    written: Written,
    original: Original,
    photos: Sequence[Photo],
    *,
    tolerance: float,
    progress: Progress,
    named: frameworks.Named | None = None,
    tritonserver: Path | None = None,
) -> Proof:
    """Compare `written` with `original` on `photos`; `tolerance` is the most that a probability may differ.

    `named`: where the preprocessing was read, to try the framework's own. `tritonserver`: the program, if there is one.
    """
    findings: list[Finding] = []
    figures: dict[str, float] = {"photos": len(photos), "tolerance": tolerance}
    bench = _Bench(written, original, photos, progress, named or frameworks.Named(), tritonserver, figures)
    steps = (
        ("resize", _resized),
        ("network", _classified),
        ("framework", _as_framework),
        ("batch", _batched),
        ("server", _asked),
        ("triton", _on_triton),
    )
    for name, step in steps:
        try:
            findings += step(bench)
        except Unreadable:
            raise
        except ConfigurationError as error:
            findings.append(Finding(name, passed=False, said=str(error)))
        if findings[-1].passed is False:
            break
    return Proof(tuple(findings), figures)


def _resized(bench: _Bench) -> Iterator[Finding]:
    rules = bench.original.rules
    wanted_shape = (1, *rules.crop, 3)
    worst, off, far, values, where = 0, 0, 0, 0, ""
    for photo, name, image in _images(bench.photos):
        bench.progress(f"resizing {name}")
        (found,) = bench.written.resize.run(image[np.newaxis])
        size = f"{image.shape[0]} x {image.shape[1]}"
        if found.shape != wanted_shape:
            yield Finding("resize", False, f"{name} ({size}): the resize graph gives {found.shape}, not {wanted_shape}")
            return
        wanted = pixels(image, rules)
        if photo is not None:
            bench.crops[photo.path] = (found, wanted)
        levels = np.abs(found[0].astype(np.int16) - wanted)
        off += int((levels > 0).sum())
        far += int((levels > 1).sum())
        values += levels.size
        if levels.max() > worst:
            worst, where = int(levels.max()), f"{name} ({size})"
    bench.figures.update({"pixel_levels_max": worst, "pixel_share_off": off / values})
    said = f"largest difference {worst} grey level{'s' if worst != 1 else ''}; {off / values:.2%} of the values differ"
    passed = worst <= LEVELS and far <= RARE * values
    yield Finding("resize", passed, said + ("" if passed else f"; worst: {where}"))


def _classified(bench: _Bench) -> Iterator[Finding]:
    written, original = bench.written, bench.original
    worst, end_to_end, same, where = 0.0, 0.0, 0, ""
    for photo in bench.photos:
        bench.progress(f"classifying {photo.name}")
        crop, reference = bench.crops[photo.path]
        answer = written.classify.named(crop)
        expected = original.probabilities(crop[0])
        if (fault := _fault(answer, expected, written)) is not None:
            yield Finding("network", False, f"{photo.name}: {fault}")
            return
        apart = difference(answer, expected)
        if apart > worst:
            worst, where = apart, photo.name
        whole = expected if np.array_equal(crop[0], reference) else original.probabilities(reference)
        end_to_end = max(end_to_end, difference(answer, whole))
        same += int(np.argmax(whole)) == int(answer["indices"][0, 0])
    bench.figures.update(
        {
            "network_difference_max": worst,
            "end_to_end_difference_max": end_to_end,
            "same_first_label": same / len(bench.photos),
        }
    )
    said = f"largest difference of a probability {worst:.1e} on the same pixels"
    if not worst <= bench.tolerance:
        yield Finding("network", False, f"{said}, more than {bench.tolerance:g} (--tolerance); worst: {where}")
        return
    yield Finding("network", True, said)
    yield Finding(
        "end to end",
        None,  # it follows from the pixels of the first step: how far, is the network's affair
        f"largest difference {end_to_end:.1e} against Pillow and the original network; the same first label on "
        f"{same} of {len(bench.photos)} photos",
    )


def _as_framework(bench: _Bench) -> Iterator[Finding]:
    finding = frameworks.compare(
        bench.named, bench.written, bench.original, bench.photos, figures=bench.figures, progress=bench.progress
    )
    if finding is not None:
        yield finding


def _batched(bench: _Bench) -> Iterator[Finding]:
    bench.progress("a batch against single images")
    written = bench.written
    images = (image for _, _, image in islice(_images(bench.photos), _BATCH))
    crops = np.concatenate([written.resize.run(image[np.newaxis])[0] for image in images])
    together = written.classify.named(crops)
    if not np.isfinite(together["probabilities"]).all():
        yield Finding("batch", False, "a probability in a batch is not a finite number")
        return
    worst = 0.0
    for place in range(len(crops)):
        alone = written.classify.named(crops[place : place + 1])
        for name, values in alone.items():
            if values.shape[1:] != together[name].shape[1:] or len(together[name]) != len(crops):
                yield Finding("batch", False, f"'{name}' has shape {together[name].shape} in a batch of {len(crops)}")
                return
        worst = max(worst, *(_apart(alone[name][0], together[name][place]) for name in _FLOATS if name in alone))
    bench.figures["batch_difference_max"] = worst
    said = f"{len(crops)} images together differ by {worst:.1e} from each alone"
    yield Finding("batch", worst <= bench.tolerance, said)


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The largest difference, as a part of the largest number if that is above 1: an embedding has any scale."""
    return float(np.abs(one - other).max() / max(1.0, float(np.abs(one).max())))


def _asked(bench: _Bench) -> Iterator[Finding]:
    bench.progress("starting the server")
    written = bench.written
    asked = [*_some_photos(bench), *(image for name, image in odd_images() if name in _SERVED_SIZES)]
    with serve(written.repository) as served:
        for image in asked:
            bench.progress("asking the server")
            answer = served.classify(image, model=written.name)
            labels = [label for label in _direct(written, image)["classes"][0].tolist() if label]
            if [each["label"] for each in answer] != labels:
                yield Finding("server", False, f"it answers {answer}, but its graphs {labels}")
                return
    yield Finding(
        "server", True, f"loaded by the server itself; {len(asked)} images of all sizes asked for, from 1 x 1 on"
    )


def _on_triton(bench: _Bench) -> Iterator[Finding]:
    if bench.tritonserver is None:
        return
    bench.progress("starting Triton")
    written = bench.written
    asked = {written.name: [(image, _direct(written, image)) for image in _some_photos(bench)]}
    yield on_triton.compare(
        bench.tritonserver, written.repository, asked, tolerance=bench.tolerance, figures=bench.figures
    )


def _images(photos: Sequence[Photo]) -> Iterator[tuple[Photo | None, str, NDArray[np.uint8]]]:
    for photo in photos:
        yield photo, photo.name, np.asarray(photo.image())
    for name, image in odd_images():
        yield None, name, image


def _some_photos(bench: _Bench) -> list[NDArray[np.uint8]]:
    return [np.asarray(photo.image()) for photo in bench.photos[:_SERVED]]


def _direct(written: Written, image: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
    """The outputs of the written graphs for one image."""
    return written.classify.named(written.resize.run(image[np.newaxis])[0])


def _fault(answer: Mapping[str, NDArray[Any]], expected: NDArray[np.float64], written: Written) -> str | None:
    """What is wrong with the classify graph's `answer` for one image, beside its numbers; None if nothing is."""
    if len(expected) != len(written.labels):
        return f"the network puts out {len(expected)} classes, but there are {len(written.labels)} labels"
    if not np.isfinite(expected).all():
        return "a probability of the original network is not a finite number"
    if NO_LABEL in answer["classes"][0].tolist() and written.threshold is None:
        return "a place has no label, though no threshold was set"
    return fault_of(answer, written.labels)
