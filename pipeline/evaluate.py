"""Measures the graphs' accuracy, and their distance from Pillow + PyTorch: `python -m pipeline evaluate`.

The reference is in `reference` and `network`.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import reference
from pipeline.layout import CLASSIFY, RESIZE
from pipeline.runtime import Graph


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The shares of photos whose class is the most probable one, and is among the five most probable ones."""

    top_1: float
    top_5: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of `evaluate`; the last three fields are None without the reference.

    `same_top_1` is the share of photos for which graphs and reference name the same class, `largest_difference` the
    largest difference of a probability over all photos and the graphs' five classes.
    """

    images: int
    graphs: Accuracy
    reference: Accuracy | None = None
    same_top_1: float | None = None
    largest_difference: float | None = None


def evaluate(images: Path, *, repository: Path, with_reference: bool = False) -> Evaluation:
    """Classify every photo of `images`/labels.csv (columns file, index) with the graphs of `repository`.

    `with_reference` also sends each through Pillow + PyTorch, which needs the packages of the extra `export`.
    Progress goes to stderr. Raises OSError for a file that is missing or no image, ValueError for an empty or
    malformed list.
    """
    resize, classify = Graph(repository / RESIZE), Graph(repository / CLASSIFY)
    network = None
    if with_reference:
        from pipeline import network as torch_network  # imports torch, so only if needed

        network = torch_network.load()

    truth, answers, expected, differences = [], [], [], []
    for path, index in _with_progress(_rows(images)):
        image = reference.decode(path)
        (pixels,) = resize(np.asarray(image)[np.newaxis])
        _, probabilities, indices = classify(pixels)
        truth.append(index)
        answers.append(indices[0])
        if network is not None:
            crop = np.asarray(reference.resize_and_crop(image))[np.newaxis]
            wanted = network(reference.normalise(crop))[0]
            expected.append(np.argsort(-wanted, kind="stable")[:5])
            differences.append(np.abs(wanted[indices[0]] - probabilities[0]).max())

    graphs = _accuracy(truth, answers=answers)
    if network is None:
        return Evaluation(images=len(truth), graphs=graphs)
    same = np.mean([ours[0] == theirs[0] for ours, theirs in zip(answers, expected, strict=True)])
    return Evaluation(
        images=len(truth),
        graphs=graphs,
        reference=_accuracy(truth, answers=expected),
        same_top_1=float(same),
        largest_difference=float(max(differences)),
    )


def table(result: Evaluation) -> str:
    """Return the evaluation as a table of text."""
    rows = [f"{result.images} photos", "                     top-1   top-5"]
    for name, accuracy in (("graphs", result.graphs), ("Pillow + PyTorch", result.reference)):
        if accuracy is not None:
            rows.append(f"{name:<18}  {accuracy.top_1:6.1%}  {accuracy.top_5:6.1%}")
    if result.same_top_1 is not None:
        rows.append(f"same top-1 {result.same_top_1:.1%}, largest difference {result.largest_difference:.1e}")
    return "\n".join(rows)


def _accuracy(truth: list[int], *, answers: list[np.ndarray]) -> Accuracy:
    hits = np.asarray(answers) == np.asarray(truth)[:, np.newaxis]
    return Accuracy(top_1=float(hits[:, 0].mean()), top_5=float(hits.any(axis=1).mean()))


def _rows(images: Path) -> list[tuple[Path, int]]:
    listing = images / "labels.csv"
    with listing.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"file", "index"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{listing}: the first line must name the columns file and index")
        rows = [(images / row["file"], int(row["index"])) for row in reader]
    if not rows:
        raise ValueError(f"{listing} lists no photos")
    return rows


def _with_progress(rows: list[tuple[Path, int]]) -> Iterator[tuple[Path, int]]:
    live = sys.stderr.isatty()
    for done, row in enumerate(rows, start=1):
        yield row
        if live or done % 100 == 0 or done == len(rows):
            print(f"{done}/{len(rows)} photos", end="\r" if live and done < len(rows) else "\n", file=sys.stderr)
