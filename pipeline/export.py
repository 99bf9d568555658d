"""Builds all graphs and writes the model repository: `python -m pipeline export`. `layout` has the files' names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from pipeline import classify_graph, configs, labels, provenance, resize_graph
from pipeline.layout import ARTEFACTS, CLASSIFY, ENSEMBLE_NAME, LABELS, RESIZE, SUMS


def export(repository: Path, *, single: Path | None = None) -> dict[Path, str]:
    """Build all graphs and write them under `repository`, with labels, missing configurations and `SHA256SUMS`.

    `single`, if given, also gets both graphs as one: a file ending in `.onnx`, or a folder that becomes a model of a
    repository. Return the SHA-256 of every artefact written, by path. Needs the packages of the extra `export`.
    """
    return write(build(), repository, single=single)


@dataclass(frozen=True, slots=True)
class Graphs:
    """The parts of a repository: both graphs, stamped, and the labels."""

    resize: onnx.ModelProto
    classify: onnx.ModelProto
    labels: Sequence[str]


def build() -> Graphs:
    """Build both graphs from the published weights; this takes nearly all the time of an export."""
    from pipeline import network  # imports torch, which takes seconds; only an export needs it

    names = labels.load()
    resize = provenance.stamp(resize_graph.build(), properties=provenance.of_resize())
    classify = classify_graph.build(network.to_onnx(), labels=names)
    return Graphs(resize, provenance.stamp(classify, properties=provenance.of_classify()), names)


def write(graphs: Graphs, repository: Path, *, single: Path | None) -> dict[Path, str]:
    """Write the graphs, as `export` says."""
    _write_model(graphs.resize, path=repository / RESIZE)
    _write_model(graphs.classify, path=repository / CLASSIFY)
    _write_text("".join(f"{name}\n" for name in graphs.labels), path=repository / LABELS)
    _write_text("", path=repository / ENSEMBLE_NAME / "1" / ".gitkeep")  # Triton wants a version folder
    configs.add_missing(repository)

    written = {repository / path: digest for path, digest in write_sums(repository).items()}
    if single is not None:
        path = _write_single(graphs.resize, classify=graphs.classify, single=single)
        written[path] = provenance.sha256(path)
    return written


def write_sums(repository: Path) -> dict[Path, str]:
    """Record the SHA-256 of every artefact in `SHA256SUMS`, as sha256sum does; return them by relative path."""
    digests = {path: provenance.sha256(repository / path) for path in ARTEFACTS}
    lines = [f"{digest}  {path.as_posix()}\n" for path, digest in digests.items()]
    _write_text("".join(lines), path=repository / SUMS)
    return digests


def _write_single(resize: onnx.ModelProto, *, classify: onnx.ModelProto, single: Path) -> Path:
    model = classify_graph.join(resize, classify=classify)
    provenance.stamp(model, properties=provenance.of_resize() | provenance.of_classify())
    path = single if single.suffix == ".onnx" else single / "1" / "model.onnx"
    _write_model(model, path=path)
    if path != single:
        configs.add_single(single)
    return path


def _write_model(model: onnx.ModelProto, *, path: Path) -> None:
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _write_text(text: str, *, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
