"""What a repository holds, for tests of what runs it."""

from __future__ import annotations

from pathlib import Path

from topfive.repository.reading import Repository, StoredModel


def read_repository(folder: Path, *, on_triton: bool = False) -> dict[str, StoredModel]:
    """All models in `folder` by name, looked at once; see `Repository.read`."""
    return Repository(folder, on_triton=on_triton).read()
