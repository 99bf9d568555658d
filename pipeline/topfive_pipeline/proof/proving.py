"""Proves a written model against what it was made from: the original network, and Pillow's preprocessing.

The steps are in the order of a request, so the first that fails is where the fault is: resizing, network, sums,
batches, the server. What does not live here: the preprocessing that the reference means (`preprocessing.reference`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.reference import Layout, network_input, pixels
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.answers import NO_LABEL, fault_of
from topfive_pipeline.proof.photos import Photo, odd_images
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.scores import probabilities
from topfive_pipeline.proof.served import serve
from topfive_pipeline.proof.verdict import Finding, Proof

_LEVELS: Final = 2
"""A value between two grey levels may be rounded either way, after each of the two passes."""
_RARE: Final = 1e-3
"""The largest share of the values that may differ by more than one level."""
_BATCH: Final = 4
_SERVED: Final = 6
"""Photos that are sent to the server: it runs the same files as the steps before, so few are enough."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Original:
    """The network as the user gave it: its file, and how its input and its scores are to be read."""

    graph: Graph
    output: str
    rules: Preprocessing
    layout: Layout
    scores: str

    def probabilities(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        """FP64 [k], all classes, for one crop UINT8 [h, w, 3]."""
        tensor = network_input(crop[np.newaxis], self.rules, layout=self.layout)
        (scores,) = self.graph.run(tensor, self.output)
        chances: NDArray[np.float64] = probabilities(scores, kind=self.scores)[0]
        return chances


@dataclass(frozen=True, slots=True)
class Written:
    """The model in a repository: its name, version and folder, its two graphs, its labels, and its threshold if any."""

    repository: Path
    name: str
    resize: Graph
    classify: Graph
    labels: Sequence[str]
    threshold: float | None = None


def prove(
    written: Written, original: Original, photos: Sequence[Photo], *, tolerance: float, progress: Progress
) -> Proof:
    """Compare `written` with `original` on `photos`; `tolerance` is the most that a probability may differ."""
    findings: list[Finding] = []
    figures: dict[str, float] = {"photos": len(photos), "tolerance": tolerance}
    for step in (_resized, _classified, _batched, _asked):
        try:
            findings += step(written, original, photos, figures, progress)
        except ConfigurationError as error:
            findings.append(Finding(step.__name__.strip("_"), passed=False, said=str(error)))
        if findings[-1].passed is False:
            break
    return Proof(tuple(findings), figures)


def _resized(
    written: Written, original: Original, photos: Sequence[Photo], figures: dict[str, float], progress: Progress
) -> Iterator[Finding]:
    wanted_shape = (1, *original.rules.crop, 3)
    worst, off, far, values, where = 0, 0, 0, 0, ""
    for name, image in _images(photos):
        progress(f"resizing {name}")
        (found,) = written.resize.run(image[np.newaxis])
        size = f"{image.shape[0]} x {image.shape[1]}"
        if found.shape != wanted_shape:
            yield Finding("resize", False, f"{name} ({size}): the resize graph gives {found.shape}, not {wanted_shape}")
            return
        difference = np.abs(found[0].astype(np.int16) - pixels(image, original.rules))
        off += int((difference > 0).sum())
        far += int((difference > 1).sum())
        values += difference.size
        if difference.max() > worst:
            worst, where = int(difference.max()), f"{name} ({size})"
    figures |= {"pixel_levels_max": worst, "pixel_share_off": off / values}
    said = f"largest difference {worst} grey level{'s' if worst != 1 else ''}; {off / values:.2%} of the values differ"
    passed = worst <= _LEVELS and far <= _RARE * values
    yield Finding("resize", passed, said + ("" if passed else f"; worst: {where}"))


def _classified(
    written: Written, original: Original, photos: Sequence[Photo], figures: dict[str, float], progress: Progress
) -> Iterator[Finding]:
    worst, end_to_end, same, where = 0.0, 0.0, 0, ""
    for photo in photos:
        progress(f"classifying {photo.name}")
        image = np.asarray(photo.image())
        (crop,) = written.resize.run(image[np.newaxis])
        answer = written.classify.named(crop)
        expected = original.probabilities(crop[0])
        if (fault := _fault(answer, expected, written)) is not None:
            yield Finding("network", False, f"{photo.name}: {fault}")
            return
        difference = _difference(answer, expected)
        if difference > worst:
            worst, where = difference, photo.name
        whole = original.probabilities(pixels(image, original.rules))
        end_to_end = max(end_to_end, _difference(answer, whole))
        same += int(np.argmax(whole)) == int(answer["indices"][0, 0])
    figures |= {
        "network_difference_max": worst,
        "end_to_end_difference_max": end_to_end,
        "same_first_label": same / len(photos),
    }
    said = f"largest difference of a probability {worst:.1e} on the same pixels"
    if not worst <= figures["tolerance"]:
        yield Finding("network", False, f"{said}, more than {figures['tolerance']:g} (--tolerance); worst: {where}")
        return
    yield Finding("network", True, said)
    yield Finding(
        "end to end",
        True,
        f"largest difference {end_to_end:.1e} against Pillow and the original network; the same first label on "
        f"{same} of {len(photos)} photos",
    )


def _batched(
    written: Written, original: Original, photos: Sequence[Photo], figures: dict[str, float], progress: Progress
) -> Iterator[Finding]:
    progress("a batch against single images")
    images = [image for _, image in _images(photos)][:_BATCH]
    crops = np.concatenate([written.resize.run(image[np.newaxis])[0] for image in images])
    together = written.classify.named(crops)
    worst = 0.0
    for place in range(len(crops)):
        alone = written.classify.named(crops[place : place + 1])
        for name, values in alone.items():
            if values.shape[1:] != together[name].shape[1:] or len(together[name]) != len(crops):
                yield Finding("batch", False, f"'{name}' has shape {together[name].shape} in a batch of {len(crops)}")
                return
        worst = max(worst, float(np.abs(alone["probabilities"][0] - together["probabilities"][place]).max()))
    figures["batch_difference_max"] = worst
    said = f"{len(crops)} images together differ by {worst:.1e} from each alone"
    yield Finding("batch", worst <= figures["tolerance"], said)


def _asked(
    written: Written, original: Original, photos: Sequence[Photo], figures: dict[str, float], progress: Progress
) -> Iterator[Finding]:
    progress("starting the server")
    odd = [image for _, image in odd_images()]
    asked = [np.asarray(photo.image()) for photo in photos[:_SERVED]]
    with serve(written.repository) as served:
        for image in [*asked, *odd]:
            progress("asking the server")
            answer = served.classify(image, model=written.name)
            direct = written.classify.named(written.resize.run(image[np.newaxis])[0])
            labels = [label for label in direct["classes"][0].tolist() if label]
            if [each["label"] for each in answer] != labels:
                yield Finding("server", False, f"it answers {answer}, but its graphs {labels}")
                return
    yield Finding(
        "server",
        True,
        f"loaded by the server itself; {len(asked) + len(odd)} images of all sizes asked for, from 1 x 1 on",
    )


def _images(photos: Sequence[Photo]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for photo in photos:
        yield photo.name, np.asarray(photo.image())
    yield from odd_images()


def _fault(answer: Mapping[str, NDArray[Any]], expected: NDArray[np.float64], written: Written) -> str | None:
    """What is wrong with the classify graph's `answer` for one image, beside its numbers; None if nothing is."""
    if len(expected) != len(written.labels):
        return f"the network puts out {len(expected)} classes, but there are {len(written.labels)} labels"
    if NO_LABEL in answer["classes"][0].tolist() and written.threshold is None:
        return "a place has no label, though no threshold was set"
    return fault_of(answer, written.labels)


def _difference(answer: Mapping[str, NDArray[Any]], expected: NDArray[np.float64]) -> float:
    """The largest difference of a probability: of the answer's labels, and of the best that should be there."""
    chosen, found, classes = answer["indices"][0], answer["probabilities"][0], answer["classes"][0]
    present = np.array([label != NO_LABEL for label in classes.tolist()])
    best = np.sort(expected)[::-1][: len(found)]
    own = np.abs(expected[chosen] - found)[present]
    ranked = np.abs(best - found)[present]
    return float(max(own.max(initial=0.0), ranked.max(initial=0.0)))
