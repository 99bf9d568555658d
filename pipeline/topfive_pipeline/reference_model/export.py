"""Builds a model that comes with topfive: exports the trained network, and imports it as anybody's.

Nothing is special about these models: what `topfive import` does for a user's network, it does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import onnx

from topfive_pipeline.entry.names import GRAPH, INT8_GRAPH, LABELS, folders
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.importer import Imported, Wanted, carry_out, plan
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.proof.models import Progress
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.reference_model import labels
from topfive_pipeline.reference_model.networks import NETWORKS, Trained

SUMS: Final = Path("SHA256SUMS")
"""The digests of what an export makes, and of the int8 graph, in the format of sha256sum; without configurations, which
are kept by hand."""
_LICENCE: Final = "Apache-2.0"


def export(name: str, repository: Path, photos: Sequence[Photo], *, progress: Progress) -> Imported:
    """Export the network `name` and import it into `repository` in place of what is there of it; write `SUMS`.

    Raises `ConfigurationError`, as an import does. Needs the packages of the extra `export`.
    """
    trained = NETWORKS[name]
    with TemporaryDirectory() as folder:
        network = Path(folder, f"{name}.onnx")
        progress(f"exporting {name} from PyTorch")
        onnx.save(trained.to_onnx(), network)
        wanted = Wanted(
            model=network,
            name=name,
            said=_choices(trained),
            labels=labels.load(),
            labels_from=labels.source(),
            source=trained.source,
            licence=_LICENCE,
        )
        done = carry_out(
            plan(wanted),
            repository,
            photos,
            progress=progress,
            replace=True,
        )
    if done.proof.failure is None:
        write_sums(repository)
    return done


def _choices(trained: Trained) -> Choices:
    fields = asdict(trained.rules).items()
    return {field: Choice(value, "read", trained.package) for field, value in fields if value is not None}


def artefacts(repository: Path) -> list[Path]:
    """The files in `repository` of the models of `NETWORKS`, relative to it: what an export made, and int8 graphs."""
    models = [model for name in NETWORKS for model in folders(name)]
    found = [
        path
        for model in models
        for pattern in (f"*/{GRAPH}", f"*/{INT8_GRAPH}", LABELS)
        for path in (repository / model).glob(pattern)
    ]
    return sorted(path.relative_to(repository) for path in found)


def write_sums(repository: Path) -> dict[Path, str]:
    """Record the SHA-256 of every artefact in `SUMS`, as sha256sum does; return them by relative path."""
    digests = {path: sha256(repository / path) for path in artefacts(repository)}
    lines = [f"{digest}  {path.as_posix()}\n" for path, digest in digests.items()]
    (repository / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")
    return digests
