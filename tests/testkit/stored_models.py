"""What a repository holds, for tests of what runs it."""

from __future__ import annotations

from pathlib import Path

from topfive.machine.cpu_features import dot_products_of_bytes
from topfive.repository.graph_choice import FLOATING_POINT, GraphChoice, graph_choice
from topfive.repository.precision import precision_of
from topfive.repository.reading import Repository, StoredModel


def read_repository(
    folder: Path, *, on_triton: bool = False, choice: GraphChoice = FLOATING_POINT
) -> dict[str, StoredModel]:
    """All models in `folder` by name, looked at once; see `Repository.read`."""
    return Repository(folder, on_triton=on_triton, choice=choice).read()


def served_precision(folder: Path, model: str) -> str:
    """The precision of the graph of `model` that a service takes on this machine, if nothing is set."""
    choice = graph_choice("auto", dot_products_of_bytes(), backend="embedded", has_gpu=False)
    stored = read_repository(folder, choice=choice)[model]
    return precision_of(stored.graph_path(max(stored.versions)))
