"""How an int8 graph lands in a repository: as an entry like an import's, with what it says of its making."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx
import onnxruntime

from topfive_pipeline.entry import provenance
from topfive_pipeline.entry.configs import Shape
from topfive_pipeline.entry.names import INT8_GRAPH, classify_name, graph_path, resize_name
from topfive_pipeline.entry.writing import Entry
from topfive_pipeline.graphs.tail import EMBEDDING, PROBABILITIES
from topfive_pipeline.judging import split
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.optimising.source import Source
from topfive_pipeline.proof.models import Written
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.running import Graph

if TYPE_CHECKING:
    from topfive_pipeline.optimising.optimiser import Optimised

PREFIX: Final = "int8."
"""Of the names of all properties that an int8 graph has beside its source's."""


SOURCE: Final = f"{PREFIX}source.sha256"
"""The property with the digest of the graph that an int8 graph was made of."""


def entry(subject: Subject, model: Any, *, name: str, properties: dict[str, str], beside: bool = False) -> Entry:
    """The entry `name`: the subject's resize graph as it is, the graph `model`, and the same labels.

    With `beside`, `model` is its int8 graph, and its classify graph is the subject's, with the files of its weights.
    """
    assert subject.resize is not None
    given = onnx.load(subject.classify.path, load_external_data=False)
    provenance.stamp(model, provenance.properties_of(given) | properties)
    model.graph.name = classify_name(name)
    outputs = {info.name: info.shape for info in subject.classify.config.outputs}
    crop = tuple(int(size) for size in subject.classify.config.inputs[0].shape[-3:-1])
    embedding = outputs.get(EMBEDDING)
    shape = Shape(
        crop=(crop[0], crop[1]),
        labels=int(outputs[PROBABILITIES][-1]),
        embedding=None if embedding is None else int(embedding[-1]),
    )
    resize = onnx.load(subject.resize.path)
    path = subject.classify.path
    external = {str(file.relative_to(path.parent)): file for file in subject.classify.files if file != path}
    return Entry(
        name=name,
        graphs={resize_name(name): resize, classify_name(name): path if beside else model},
        labels=subject.labels,
        shape=shape,
        external=external if beside else {},
        int8=model if beside else None,
    )


def properties(source: Source, told: Optimised, calibrating: Sequence[Photo]) -> dict[str, str]:
    """What the graph says of how it was made, from what, and what was measured."""
    assert told.chosen is not None
    assert told.judged is not None
    recipe = told.chosen.trial.recipe
    said = {
        "method": f"ONNX Runtime static QDQ, {recipe.kind.name}, weights per channel and symmetric",
        "scope": recipe.scope,
        "calibration": recipe.method,
        "calibration.photos": str(len(calibrating)),
        "calibration.sha256": split.fingerprint(calibrating),
        "floats": json.dumps(sorted(recipe.floats)),
        "source.sha256": provenance.sha256(source.path),
        "onnxruntime": onnxruntime.__version__,
        "cpu": " ".join(told.features) or "no dot products of bytes",
        "speed": json.dumps({f"batch {batch}": round(each.ratio, 2) for batch, each in told.speed.items()}),
        "agreement": f"{told.judged.distance.agreement:.4f}",
        "sqnr_db": f"{told.judged.distance.sqnr:.1f}",
        "judged.photos": str(told.judged.photos),
    }
    if told.judged.loss is not None and told.judged.interval is not None:
        interval = told.judged.interval
        said["loss"] = f"{told.judged.loss:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
    return {PREFIX + name: value for name, value in said.items()}


def written(repository: Path, landed: Entry, version: int) -> Written:
    """The graphs of `landed` as they lie in `repository`, the classify graph in int8."""
    resizing, classifying = (
        graph_path(repository, model, version) for model in (resize_name(landed.name), classify_name(landed.name))
    )
    if landed.int8 is not None:
        classifying = classifying.with_name(INT8_GRAPH)
    return Written(repository, landed.name, Graph(resizing), Graph(classifying), landed.labels)


def original(subject: Subject) -> Written:
    """The graphs of the subject, wherever they lie."""
    assert subject.resize is not None
    path = subject.classify.path
    name = subject.title.rpartition(":")[0]
    return Written(path.parents[2], name, Graph(subject.resize.path), Graph(path), subject.labels)
