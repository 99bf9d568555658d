"""The model repository on disk: which models and versions are there, and where their graphs lie.

Layout, as Triton's: `<repository>/<model>/config.pbtxt` and `<repository>/<model>/<version>/<file>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.errors import ConfigurationError
from service.model_config import ModelConfig, parse_model_config


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as it lies in the repository: its configuration and its versions to serve, in ascending order."""

    config: ModelConfig
    folder: Path
    versions: tuple[int, ...]

    def graph_path(self, version: int) -> Path:
        """Where the graph of `version` lies."""
        return self.folder / str(version) / self.config.filename


def read_repository(folder: Path) -> dict[str, StoredModel]:
    """All models in `folder` by name; raises `ConfigurationError` naming the file that cannot be served."""
    if not folder.is_dir():
        raise ConfigurationError(f"model repository '{folder}' is not a folder; set TOPFIVE_MODEL_REPOSITORY")
    models = {path.parent.name: _read_model(path) for path in sorted(folder.glob("*/config.pbtxt"))}
    if not models:
        raise ConfigurationError(f"model repository '{folder}' holds no <model>/config.pbtxt")
    return models


def _read_model(path: Path) -> StoredModel:
    folder = path.parent
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    config = parse_model_config(text, name=folder.name, where=str(path))
    present = [int(entry.name) for entry in folder.iterdir() if entry.is_dir() and _is_version(entry.name)]
    versions = tuple(config.versions.choose(present))
    if not versions:
        raise ConfigurationError(f"{folder}: none of its version folders {sorted(present)} is chosen by version_policy")
    model = StoredModel(config, folder, versions)
    for version in versions:
        if not config.steps and not model.graph_path(version).is_file():
            raise ConfigurationError(
                f"{model.graph_path(version)} is missing; run the export, or set the version_policy"
            )
    return model


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")
