"""Holds every model of a repository to what an import must prove, whoever made it: `topfive check`.

What lives here: which models there are, the order of the checks, and the comparison with other preprocessings. What
does not: the checks of an import against its original (`proof.proving`), and the screen (`commands`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import dot_products_of_bytes
from topfive.models.wiring import apply, classifies, version_of_step
from topfive.repository.reading import Repository, StoredModel
from topfive_pipeline.entry.labels import served_labels
from topfive_pipeline.entry.names import LABELS
from topfive_pipeline.entry.provenance import properties_of, stamped_rules
from topfive_pipeline.graphs.cutting import Cut, cut
from topfive_pipeline.judging.leakage import leaks
from topfive_pipeline.preprocessing.candidates import candidates
from topfive_pipeline.preprocessing.reference import pixels
from topfive_pipeline.proof import on_triton, two_graphs
from topfive_pipeline.proof.answers import fault_of
from topfive_pipeline.proof.chain import Chain
from topfive_pipeline.proof.photos import Photo, Unreadable, noise_images, odd_images
from topfive_pipeline.proof.ranking import CLEAR, FEWEST, Tried, labelled, losses, rank, standard_error, try_out
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.served import serve
from topfive_pipeline.proof.verdict import LEVELS, Finding, Proof

_BATCH: Final = 4
_ASKED: Final = 3
"""Photos that Triton is asked for."""
_TOLERANCE: Final = 1e-3
"""Between a batch and its single images; wide enough for FP16 and int8."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one model; `warnings` are what is served but probably not meant.

    `graph`: the file of its classifier, if that can be read.
    """

    name: str
    proof: Proof
    warnings: tuple[str, ...] = ()
    graph: Path | None = None


def check(
    repository: Path, photos: Sequence[Photo], *, progress: Progress, tritonserver: Path | None = None
) -> list[Checked]:
    """Check every model of `repository` that clients can call, on `photos`; then load all by the server itself.

    And by the program `tritonserver`, if there is one.

    Raises `ConfigurationError` if the folder holds no model that can be read.
    """
    checked, models = [], {}
    for name, found in Repository(repository).survey().items():
        if isinstance(found, ConfigurationError):
            checked.append(Checked(name, Proof((Finding("configuration", False, str(found)),))))
        else:
            models[name] = found
    try:
        served = apply({}, models)
    except ConfigurationError as error:
        return [*checked, Checked("repository", Proof((Finding("configuration", False, str(error)),)))]
    steps = {step.model for model in served.values() for step in model.config.steps}
    for name, model in served.items():
        if model.config.steps or (classifies(model) and name not in steps):
            progress(f"checking {name}")
            checked.append(_check_model(model, served, photos, progress))
    if all(each.proof.failure is None for each in checked):
        progress("loading all by the server itself")
        findings = [_loaded(repository)]
        if tritonserver is not None and findings[0].passed:
            progress("loading all by Triton")
            findings.append(_on_triton(tritonserver, repository, served, photos))
        checked.append(Checked("all of them", Proof(tuple(findings))))
    return checked


def _chain(model: StoredModel, stored: Mapping[str, StoredModel]) -> Chain:
    labels = served_labels(model.folder / LABELS)
    if not model.config.steps:
        return Chain(model.config.name, None, _graph(model, max(model.versions)), labels)
    graphs = [
        _graph(stored[step.model], version_of_step(step, stored[step.model].versions, model))
        for step in model.config.steps
    ]
    return Chain(model.config.name, graphs[0], graphs[1], labels)


def _graph(model: StoredModel, version: int) -> Graph:
    """On the engine that serves it."""
    return Graph(model.graph_path(version), engine=model.config.engine, precision=model.config.precision)


def _answers_in_int8(chain: Chain, beside: Graph, photos: Sequence[Photo]) -> Finding:
    if not dot_products_of_bytes():
        return Finding(two_graphs.STEP, None, f"{beside.path.name} is not run: no server on this processor takes it")
    found = _answers(replace(chain, classify=beside), photos)
    if not found.passed:
        return Finding(two_graphs.STEP, False, f"{beside.path.name}: {found.said}")
    if chain.resize is None:  # noise says nothing of whether two networks agree
        return Finding(two_graphs.STEP, True, f"{beside.path.name}: {found.said}")
    crops = [chain.crop(np.asarray(photo.image())) for photo in photos[:40]]
    return two_graphs.compare(chain.classify, beside, crops)


def _check_model(
    model: StoredModel, stored: Mapping[str, StoredModel], photos: Sequence[Photo], progress: Progress
) -> Checked:
    findings: list[Finding] = []
    warnings: list[str] = []
    figures: dict[str, float] = {}
    graph = None
    known = [photo for photo in photos if photo.label is not None]
    try:
        chain = _chain(model, stored)
        graph = chain.classify.path
        findings.append(_crops(chain, photos))
        if findings[-1].passed is not False:
            findings.append(_answers(chain, photos))
        classifier = stored[model.config.steps[-1].model] if model.config.steps else model
        if findings[-1].passed is not False and (beside := two_graphs.int8_of(chain.classify, classifier)) is not None:
            findings.append(_answers_in_int8(chain, beside, photos))
        if findings[-1].passed is not False and len(known) >= FEWEST and chain.resize is not None:
            finding, warnings, figures = _against_others(chain, labelled(known, what_for="check"), progress)
            findings.append(finding)
            warnings += [f"its accuracy is flattered: {leak.said()}" for leak in leaks({chain.name: graph}, known)]
    except Unreadable:
        raise
    except ConfigurationError as error:
        findings.append(Finding("graphs", False, str(error)))
    return Checked(model.config.name, Proof(tuple(findings), figures), tuple(warnings), graph)


def _crops(chain: Chain, photos: Sequence[Photo]) -> Finding:
    """The real shape of the crops, for images of all sizes; and their pixels, if the graph says what it means."""
    if chain.resize is None:
        return Finding("resize", None, "it has no resize graph: all its images have one size")
    wanted = tuple(chain.classify.shape[1:])
    rules = stamped_rules(properties_of(onnx.load(chain.resize.path)))
    worst = 0
    for name, image in _images(photos):
        crop = chain.crop(image)
        if crop.dtype != np.uint8 or crop.shape[1:] != wanted:
            return Finding(
                "resize",
                False,
                f"{name}, {image.shape[0]} x {image.shape[1]}: it gives {crop.dtype} {list(crop.shape[1:])}, and the "
                f"classifier takes {list(wanted)}",
            )
        if rules is not None:
            worst = max(worst, int(np.abs(crop[0].astype(np.int16) - pixels(image, rules)).max()))
            if worst > LEVELS:
                return Finding(
                    "resize", False, f"{name}: {worst} grey levels from the preprocessing that the graph states"
                )
    stated = "does not state its preprocessing" if rules is None else f"at most {worst} grey levels from Pillow's"
    return Finding("resize", True, f"images of all sizes give {list(wanted)}; {stated}")


def _answers(chain: Chain, photos: Sequence[Photo]) -> Finding:
    """Probabilities in order, labels that fit, and a batch that answers as its images alone."""
    images = _all_images(chain, photos)
    alone = []
    for image in images:
        answer = chain.classify.named(chain.crop(image))
        if (fault := fault_of(answer, chain.labels)) is not None:
            return Finding("answers", False, fault)
        alone.append(answer)
    crops = np.concatenate([chain.crop(image) for image in images[:_BATCH]])
    together = chain.classify.named(crops)
    differences = [
        np.abs(answer["probabilities"][0] - together["probabilities"][place]).max()
        for place, answer in enumerate(alone[:_BATCH])
    ]
    worst = float(np.max(differences))  # not a number, if one is none
    totals = [float(answer["probabilities"].sum()) for answer in alone]
    said = (
        f"labels in order, sums from {min(totals):.3f} to {max(totals):.3f}; a batch differs by {worst:.1e} from each "
        "alone"
    )
    return Finding("answers", worst <= _TOLERANCE, said)


def _against_others(
    chain: Chain, photos: Sequence[Photo], progress: Progress
) -> tuple[Finding, list[str], dict[str, float]]:
    """The accuracy on labelled photos, the customary preprocessings that are clearly better, and the figures."""
    assert chain.resize is not None
    served = onnx.load(chain.classify.path)
    try:
        network = cut(served)
    except ConfigurationError as error:
        return Finding("preprocessing", None, f"cannot be compared with others: {error}"), [], {}
    current = _as_served(chain, served, network, photos)
    right = f"top-1 {current.right.mean():.1%} of {len(photos)} photos, loss {current.losses.mean():.3f}"
    height, width = (int(size) for size in chain.classify.shape[1:3] if isinstance(size, int))
    others = candidates(crop=(height, width), channels=network.channels)
    with TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        onnx.save(network.model, path)
        tried = try_out(
            Graph(path),
            network.output,
            others,
            photos,
            layout=network.layout,
            scores="as-is",
            progress=lambda done, total: progress(f"{chain.name}: other preprocessings, photo {done} of {total}"),
        )
    warnings = []
    for other in rank(tried)[:1]:
        best = next(each for each in tried if each.name == other.name)
        gain = current.losses - best.losses
        if gain.mean() > CLEAR * standard_error(gain):
            warnings.append(
                f"the preprocessing '{best.name}' is clearly better for this network: loss {best.losses.mean():.3f} "
                f"against {current.losses.mean():.3f} "
                f"(difference {gain.mean():.3f} ± {standard_error(gain):.3f}), top-1 "
                f"{best.right.mean():.1%} against {current.right.mean():.1%}; import it again with the preprocessing "
                "that it was trained with"
            )
    said = "no customary preprocessing is clearly better" if not warnings else "another preprocessing is clearly better"
    figures = {"top_1": float(current.right.mean()), "loss": float(current.losses.mean())}
    return Finding("preprocessing", True, f"{right}; {said}"), warnings, figures


def _as_served(chain: Chain, served: Any, network: Cut, photos: Sequence[Photo]) -> Tried:
    """The losses of the model as it is."""
    whole = onnx.ModelProto()
    whole.CopyFrom(served)
    whole.graph.output.append(onnx.helper.make_tensor_value_info(network.output, onnx.TensorProto.FLOAT, ["N", None]))
    with TemporaryDirectory() as folder:
        path = Path(folder, "whole.onnx")
        onnx.save(whole, path)
        graph = Graph(path, engine=chain.classify.engine, precision=chain.classify.precision)
    rows = [graph.run(chain.crop(np.asarray(photo.image())), network.output)[0][0] for photo in photos]
    true = np.array([photo.label for photo in photos])
    if true.max() >= len(rows[0]):
        raise ConfigurationError(
            f"a photo's class is {true.max()}, and the network has {len(rows[0])}: correct the list"
        )
    chances = np.array([row[label] for row, label in zip(rows, true, strict=True)], np.float64)
    return Tried("as served", None, losses(chances), np.array([int(row.argmax()) for row in rows]) == true)


def _loaded(repository: Path) -> Finding:
    try:
        with serve(repository):
            return Finding("server", True, "the server loads the whole repository")
    except ConfigurationError as error:
        return Finding("server", False, str(error))


def _on_triton(program: Path, repository: Path, served: Mapping[str, StoredModel], photos: Sequence[Photo]) -> Finding:
    """Triton's answers of all ensembles, against their graphs."""
    images = [np.asarray(photo.image()) for photo in photos[:_ASKED]]
    asked = {}
    for name, model in served.items():
        if model.config.steps:
            chain = _chain(model, served)
            asked[name] = [(image, chain.classify.named(chain.crop(image))) for image in images]
    return on_triton.compare(program, repository, asked, tolerance=_TOLERANCE)


def _images(photos: Sequence[Photo]) -> list[tuple[str, NDArray[np.uint8]]]:
    return [*((photo.name, np.asarray(photo.image())) for photo in photos[:40]), *odd_images()]


def _all_images(chain: Chain, photos: Sequence[Photo]) -> list[NDArray[np.uint8]]:
    return [image for _, image in _images(photos)] if chain.resize else noise_images(chain.classify.shape[1:], _BATCH)
