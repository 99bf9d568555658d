"""Verifies that a model repository is what an export makes: `topfive export --verify`.

It compares the files with their recorded digests and with a fresh export. Equal bytes are a quick proof. But processors
differ in the last bits of folded weights: if bytes differ, the graphs must be equal node by node, and their weights and
outputs equal up to those bits (`compare`). An int8 graph is no export's: photos made it, which are not
kept. It must say that it was made of the graph beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from google.protobuf.message import DecodeError

from topfive_pipeline.entry.names import GRAPH, INT8_GRAPH, LABELS
from topfive_pipeline.entry.provenance import properties_of, sha256
from topfive_pipeline.optimising.landing import SOURCE
from topfive_pipeline.proof.models import Progress
from topfive_pipeline.proof.photos import shipped
from topfive_pipeline.reference_model.compare import graph_differences, output_differences
from topfive_pipeline.reference_model.export import SUMS, artefacts, export


@dataclass(frozen=True, slots=True)
class Comparison:
    """`reasons` why the repository differs from an export (empty if it does not); `notes` on what was compared."""

    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def verify(name: str, repository: Path, *, progress: Progress) -> Comparison:
    """Compare `repository` with its `SHA256SUMS`, and its model `name` with a fresh export.

    Needs the packages of the extra `export`.
    """
    with TemporaryDirectory() as folder:
        rebuilt = Path(folder)
        export(name, rebuilt, shipped(), progress=progress)
        return compare(repository, rebuilt=rebuilt)


def compare(repository: Path, *, rebuilt: Path) -> Comparison:
    """Compare `repository` with its `SHA256SUMS` and with the fresh export in `rebuilt`."""
    reasons, notes = [*_against_sums(repository), *_int8_of_others(repository)], []
    for path in (path for path in artefacts(rebuilt) if path.name != INT8_GRAPH):
        if not (repository / path).is_file():
            reasons.append(f"{path} is missing")
        elif (repository / path).read_bytes() == (rebuilt / path).read_bytes():
            notes.append(f"{path}: byte for byte what the recipe makes")
        else:
            differences = _label_differences if path.name == LABELS else _model_differences
            found = [f"{path}: {difference}" for difference in differences(repository / path, rebuilt / path)]
            reasons += found
            if not found:
                notes.append(f"{path}: what the recipe makes, up to the last bits of its weights")
    return Comparison(reasons=tuple(reasons), notes=tuple(notes))


def _against_sums(repository: Path) -> Iterator[str]:
    if not (repository / SUMS).is_file():
        yield f"{SUMS} is missing"
        return
    lines = (repository / SUMS).read_text(encoding="utf-8").splitlines()
    recorded = {Path(name): digest for digest, _, name in (line.partition("  ") for line in lines)}
    for path in sorted({*recorded, *artefacts(repository)}):
        if path not in recorded:
            yield f"{SUMS} does not list {path}"
        elif not (repository / path).is_file():
            yield f"{SUMS} lists {path}, which is missing"
        elif sha256(repository / path) != recorded[path]:
            yield f"{path}: its sha256 is not the one in {SUMS}"


def _int8_of_others(repository: Path) -> Iterator[str]:
    """A sentence for each int8 graph that was not made of the graph beside it, by what it says of itself."""
    for path in artefacts(repository):
        if path.name == INT8_GRAPH:
            said = properties_of(onnx.load(repository / path)).get(SOURCE)
            beside = path.with_name(GRAPH)
            if not (repository / beside).is_file() or said != sha256(repository / beside):
                yield f"{path}: it was not made of {beside}; `topfive optimise --as beside` makes it anew"


def _label_differences(ours: Path, theirs: Path) -> Iterator[str]:
    our_names, their_names = (path.read_text(encoding="utf-8").splitlines() for path in (ours, theirs))
    if len(our_names) != len(their_names):
        yield f"has {len(our_names)} names, not {len(their_names)}"
    for index, (our, their) in enumerate(zip(our_names, their_names, strict=False)):
        if our != their:
            yield f"class {index} is {our!r}, not {their!r}"


def _model_differences(ours: Path, theirs: Path) -> Iterator[str]:
    try:
        our_model = onnx.load(ours)
    except DecodeError as error:
        yield f"is no ONNX file: {error}"
        return
    found = list(graph_differences(our_model, theirs=onnx.load(theirs)))
    yield from found or output_differences(ours, theirs=theirs)
