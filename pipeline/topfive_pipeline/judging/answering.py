"""What models answer to photos, of all classes: the probabilities that the served labels are chosen from.

The graphs are those that the server runs, on its engine and in its precision: photo by photo through the resize graph
and in batches through the classify graph, which gets one more output: the input of its `TopK` (`graphs.cutting`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.cutting import all_probabilities
from topfive_pipeline.graphs.running import gathered
from topfive_pipeline.graphs.weights import take_in
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.ranking import losses
from topfive_pipeline.proof.running import Graph

BATCH: Final = 8
"""Crops that are classified at once; what a batch changes in an answer is far below what is judged here."""
TOP: Final = 5

Progress = Callable[[int, int], None]
"""Is told how many photos are done, of how many."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model answers to n photos whose classes are known, in their order.

    `first` INT64 [n]: the class with the highest probability. `rank` INT64 [n]: how many classes are before the true
    one. `losses` FP64 [n]: -log of the true class' probability, in nats. `changes` FP64 [n]: the largest difference of
    a probability, over all classes, from what the first model answers.
    """

    first: NDArray[np.int64]
    rank: NDArray[np.int64]
    losses: NDArray[np.float64]
    changes: NDArray[np.float64]
    classes: int


def answers_of(subjects: Sequence[Subject], photos: Sequence[Photo], progress: Progress) -> list[Answers]:
    """What each of `subjects` answers to `photos`, whose labels must be known; changes are counted from the first.

    Raises `ConfigurationError` if a photo cannot be read, a graph cannot be run, or the models have not the same
    classes.
    """
    networks = [_Network(subject) for subject in subjects]
    found: list[list[NDArray[np.float64]]] = [[] for _ in networks]
    classes = 0
    for start in range(0, len(photos), BATCH):
        some = photos[start : start + BATCH]
        true = np.array([photo.label for photo in some])
        images = [np.asarray(photo.image()) for photo in some]
        reference = networks[0].probabilities(images)
        classes = reference.shape[1]
        _check_labels(true, classes, some)
        for place, network in enumerate(networks):
            chances = reference if place == 0 else network.probabilities(images)
            if chances.shape[1] != classes:
                raise ConfigurationError(
                    f"{subjects[place].title} has {chances.shape[1]} classes and {subjects[0].title} has {classes}, so "
                    "they cannot be compared; judge them apart"
                )
            found[place].append(_rows(chances, reference, true))
        progress(start + len(some), len(photos))
    return [_joined(np.concatenate(rows, axis=1), classes) for rows in found]


def _rows(chances: NDArray[np.float64], reference: NDArray[np.float64], true: NDArray[Any]) -> NDArray[np.float64]:
    """FP64 [4, n]: what `Answers` has of each of n photos."""
    own = chances[np.arange(len(true)), true]
    ahead = chances > own[:, np.newaxis]
    ahead |= (chances == own[:, np.newaxis]) & (np.arange(chances.shape[1]) < true[:, np.newaxis])  # as TopK has it
    return np.stack([chances.argmax(axis=1), ahead.sum(axis=1), losses(own), np.abs(chances - reference).max(axis=1)])


def _joined(rows: NDArray[np.float64], classes: int) -> Answers:
    return Answers(rows[0].astype(np.int64), rows[1].astype(np.int64), rows[2], rows[3], classes)


def _check_labels(true: NDArray[Any], classes: int, photos: Sequence[Photo]) -> None:
    if true.max() >= classes:
        photo = photos[int(true.argmax())]
        raise ConfigurationError(
            f"{photo.path}: its class is said to be {photo.label}, and the model has {classes}; give the photos of "
            "this model's classes"
        )


class _Network:
    """The graphs of a subject, with the probabilities of all classes as an output."""

    def __init__(self, subject: Subject) -> None:
        path = subject.classify.path
        model, external = _read(path)
        output = all_probabilities(model.graph)
        if output not in {each.name for each in model.graph.output}:
            # Without its type: the runtime infers it, and it may be FP16.
            model.graph.output.append(onnx.ValueInfoProto(name=output))
        with gathered(external) as folder:
            (folder / path.name).write_bytes(model.SerializeToString())
            config = subject.classify.config
            try:
                self._graph = Graph(folder / path.name, engine=config.engine, precision=config.precision)
            except ConfigurationError as error:
                said = str(error).replace(str(folder), str(path.parent))
                raise ConfigurationError(f"{subject.title}: its graph cannot be loaded: {said}") from error
        self._title, self._output = subject.title, output
        self._resize = None if subject.resize is None else Graph(subject.resize.path)

    def probabilities(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """FP64 [n, k] for n images UINT8 [h, w, 3]."""
        rows = [np.asarray(row, np.float64) for batch in self._batches(images) for row in self._run(batch)]
        chances = np.stack(rows)
        if not np.isfinite(chances).all():
            raise ConfigurationError(f"{self._title}: a probability is not a finite number")
        return chances

    def _batches(self, images: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """What the classify graph gets; photos of any size cannot be stacked."""
        if self._resize is None:
            yield from (image[np.newaxis] for image in images)
        else:
            yield np.concatenate([self._resize.run(image[np.newaxis])[0] for image in images])

    def _run(self, batch: NDArray[np.uint8]) -> NDArray[Any]:
        try:
            (chances,) = self._graph.run(batch, self._output)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._title}: its graph cannot be run: {error}") from error
        return np.asarray(chances)


def _read(path: Path) -> tuple[Any, Any]:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's, which are no exceptions of Python's own
        raise ConfigurationError(f"{path}: it is no ONNX file: {error}") from error
    return model, take_in(model, path)
