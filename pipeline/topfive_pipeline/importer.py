"""Turns a trained network into a served model: reads, resolves, builds, proves, and writes only what is proven.

What lives here: the order of these steps, and what is told about them. What does not: the steps themselves (the rooms),
flags and screens (`commands`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry import provenance
from topfive_pipeline.entry.configs import Shape
from topfive_pipeline.entry.labels import check_count, doubts
from topfive_pipeline.entry.names import check_name, classify_name, graph_path, resize_name
from topfive_pipeline.entry.writing import (
    Entry,
    check_place,
    doubts_of_version,
    next_version,
    put_in_place,
    written_aside,
)
from topfive_pipeline.facts import Fact, label_facts, network_facts, output_facts
from topfive_pipeline.graphs import classify, resize
from topfive_pipeline.graphs.batch import free_batch
from topfive_pipeline.graphs.layouts import LayoutChoice
from topfive_pipeline.graphs.network import Network, Value, read
from topfive_pipeline.graphs.nodes import nodes_in
from topfive_pipeline.graphs.outputs import choose_output, classes_of, expose
from topfive_pipeline.graphs.running import gathered
from topfive_pipeline.graphs.scores import Scores, ScoresChoice, resolve_scores, scores_kind
from topfive_pipeline.graphs.tail import EMBEDDING, Ranking
from topfive_pipeline.judging import leakage
from topfive_pipeline.preprocessing import files
from topfive_pipeline.preprocessing.choices import Choice, Choices, Resolved, crop_known, resolve
from topfive_pipeline.preprocessing.presets import preset
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.frameworks import Named
from topfive_pipeline.proof.models import Original, Progress, Written
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.proving import prove
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.verdict import Proof

_TOLERANCE = 1e-4
_HALF_TOLERANCE = 2e-3
_BYTES_TOLERANCE = 1e-2
"""Where values are rounded to 8 bits, the last bit of one before them may turn into a step of 1/255 of their range."""
_TO_BYTES = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})
_LEVELS: Mapping[str, Any] = {"scale": 1.0, "mean": (0.0,), "std": (1.0,)}
"""No normalisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user said; None where nothing was said.

    `said` are the flags that say a preprocessing; `from_file` and `preset` name where the rest of it is written.
    """

    model: Path
    name: str
    said: Choices = field(default_factory=dict)
    from_file: str | None = None
    preset: str | None = None
    labels: Sequence[str] | None = None
    labels_from: str = ""
    layout: LayoutChoice = "auto"
    scores: ScoresChoice = "auto"
    output: str | None = None
    embedding: str | None = None
    top: int | None = None
    threshold: float | None = None
    source: str | None = None
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is known before the graphs are built. `missing` of `resolved` must be said before they can be."""

    wanted: Wanted
    network: Network
    output: Value
    scores: Scores
    resolved: Resolved
    facts: tuple[Fact, ...]

    @cached_property
    def rules(self) -> Preprocessing:
        assert self.resolved.rules is not None
        return self.resolved.rules


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: what was proven, the folders that it made (none in a dry run), and warnings."""

    version: int
    proof: Proof
    folders: tuple[Path, ...]
    how_batched: str
    warnings: tuple[str, ...]


def plan(wanted: Wanted) -> Plan:
    """Read the network and put together what is known; raises `ConfigurationError` if it cannot be served."""
    check_name(wanted.name)
    network = read(wanted.model, layout=wanted.layout)
    output = choose_output(network, wanted.output, besides=wanted.embedding)
    if wanted.embedding is not None:
        network = expose(network, wanted.embedding)
    kind = scores_kind(network, output)
    scores = resolve_scores(kind, output, asked=wanted.scores, multi_label=wanted.threshold is not None)
    found = _found(network)
    crop = crop_known(wanted.said, found)
    layers = [wanted.said]
    if wanted.from_file is not None:
        layers.append(files.read(wanted.from_file, crop=crop, said=wanted.said))
    if wanted.preset is not None:
        layers.append(preset(wanted.preset, crop=crop))
    resolved = resolve(layers, network=found, channels=network.channels)
    return Plan(
        wanted=wanted,
        network=network,
        output=output,
        scores=scores,
        resolved=resolved,
        facts=(
            *network_facts(network, model=wanted.model),
            *output_facts(output, kind=kind, asked=wanted.scores, done=scores),
            *label_facts(wanted.labels, where=wanted.labels_from),
        ),
    )


def carry_out(
    planned: Plan,
    repository: Path,
    photos: Sequence[Photo],
    *,
    progress: Progress,
    tolerance: float | None = None,
    version: int | None = None,
    replace: bool = False,
    dry_run: bool = False,
    tritonserver: Path | None = None,
) -> Imported:
    """Build, prove, and write into `repository`, unless the proof fails or it is a `dry_run`.

    `version`: None for the next. `tolerance`: None for 1e-4, or 2e-3 for a network in FP16, which has three digits,
    or 1e-2 for one that is quantised to 8 bits.
    `tritonserver`: a program to prove it on too.

    Raises `ConfigurationError` if the graphs cannot be built or written.
    """
    wanted = planned.wanted
    number = version or (1 if replace else next_version(repository, wanted.name))
    progress("freeing the batch")
    freed = free_batch(planned.network, size=planned.rules.crop)
    progress("building the graphs")
    entry = build_entry(planned, freed.network)
    check_place(entry, repository, version=number, replace=replace)
    others = [] if replace else doubts_of_version(entry, repository)
    with TemporaryDirectory() as elsewhere:
        place = Path(elsewhere) / "repository" if dry_run else repository
        with written_aside(entry, place, version=number) as aside:
            written = written_model(aside, entry, number, threshold=wanted.threshold)
            proof = prove(
                written,
                original(planned),
                photos,
                tolerance=_usual_tolerance(planned.network) if tolerance is None else tolerance,
                progress=progress,
                named=Named(from_file=wanted.from_file, preset=wanted.preset, said=frozenset(wanted.said)),
                tritonserver=tritonserver,
            )
            folders: list[Path] = []
            if proof.failure is None and not dry_run:
                folders = put_in_place(aside, repository, name=wanted.name, version=number, replace=replace)
    return Imported(
        number,
        proof,
        tuple(folders),
        freed.how,
        (*planned.resolved.warnings, *doubts(wanted.labels or ()), *others, *freed.warnings),
    )


def build_entry(planned: Plan, network: Network) -> Entry:
    """The graphs of `planned`, around a `network` whose batch is free, with labels, configurations and provenance."""
    wanted, rules = planned.wanted, planned.rules
    assert wanted.labels is not None
    ranking = Ranking(scores=planned.scores, labels=wanted.labels, top=wanted.top, threshold=wanted.threshold)
    graph = classify.build(
        network,
        rules=rules,
        ranking=ranking,
        name=classify_name(wanted.name),
        output=planned.output.name,
        embedding=wanted.embedding,
    )
    resizing = resize.build(rules, name=resize_name(wanted.name))
    provenance.stamp(resizing, provenance.rules_properties(rules) | {"licence": "Apache-2.0"})
    provenance.stamp(graph, _properties(planned))
    return Entry(
        name=wanted.name,
        graphs={resize_name(wanted.name): resizing, classify_name(wanted.name): graph},
        labels=wanted.labels,
        shape=Shape(crop=rules.crop, labels=ranking.places, embedding=_length(graph, EMBEDDING)),
        external=network.external,
    )


def original(planned: Plan) -> Original:
    """The network as it was given, to compare with."""
    return Original(
        graph=original_graph(planned),
        output=planned.output.name,
        rules=planned.rules,
        layout=planned.network.layout,
        scores=planned.scores,
    )


def original_graph(planned: Plan) -> Graph:
    """The network's file, loaded."""
    path, links = planned.wanted.model, planned.network.links
    if not links:
        return Graph(path)
    with gathered({path.name: path, **links}) as folder:
        return Graph(folder / path.name)


def written_model(repository: Path, entry: Entry, version: int, *, threshold: float | None) -> Written:
    """The graphs of `entry` as they lie in `repository`."""
    resizing, classifying = (
        Graph(graph_path(repository, model, version)) for model in (resize_name(entry.name), classify_name(entry.name))
    )
    return Written(repository, entry.name, resizing, classifying, entry.labels, threshold)


def _usual_tolerance(network: Network) -> float:
    if any(node.op_type in _TO_BYTES for node in nodes_in(network.model)):
        return _BYTES_TOLERANCE
    return _HALF_TOLERANCE if network.input.dtype == "float16" else _TOLERANCE


def _found(network: Network) -> Choices:
    """What the network itself says of its preprocessing."""
    where = f"the network's input, {network.input.described()}"
    found: dict[str, Choice] = {}
    if network.size is not None:
        found["crop"] = Choice(network.size, "found", where)
    if network.input.dtype == "uint8":  # nothing but levels fits into bytes
        found |= {name: Choice(value, "found", where) for name, value in _LEVELS.items()}
    return found


def _properties(planned: Plan) -> dict[str, str]:
    wanted = planned.wanted
    properties = provenance.rules_properties(planned.rules) | {
        "network.file": wanted.model.name,
        "network.sha256": provenance.sha256(wanted.model),
        "network.output": planned.output.name,
        "network.scores": planned.scores,
        "labels.file": wanted.labels_from,
    }
    optional = {"source": wanted.source, "licence": wanted.licence}
    if wanted.threshold is not None:
        optional["threshold"] = f"{wanted.threshold:g}"
    used = leakage.properties_of_network(planned.network.model)
    return properties | {name: value for name, value in optional.items() if value is not None} | used


def _length(graph: Any, output: str) -> int | None:
    """How many numbers an image has in `output`, if the graph has it."""
    for value in graph.graph.output:
        if value.name == output:
            return int(value.type.tensor_type.shape.dim[1].dim_value)
    return None


def must_have_labels(planned: Plan) -> None:
    """Raise `ConfigurationError` if nobody said the labels, or not as many as there are classes."""
    if planned.wanted.labels is None:
        raise ConfigurationError(
            f"--labels must be said: a file with the names of the {max(2, classes_of(planned.output))} classes, one a "
            "line in the order of the network's output, or CSV or JSON; --labels imagenet-1k has those of ImageNet"
        )
    check_count(planned.wanted.labels, max(2, classes_of(planned.output)), source=planned.wanted.labels_from)
