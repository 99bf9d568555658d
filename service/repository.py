"""The model repository on disk: which models and versions are there, where their graphs lie, and whether they changed.

Layout, as Triton's: `<repository>/<model>/config.pbtxt` and `<repository>/<model>/<version>/<file>`. What is named with
a leading dot is no model, no version and no part of one, so that new things can be written aside and then renamed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import ConfigurationError, UnknownModel
from service.model_config import ModelConfig, parse_model_config

_CONFIG: Final = "config.pbtxt"

Files = tuple[tuple[str, int, int, int], ...]
"""Name, size, time of change in nanoseconds and inode of each file: what tells a version from a later one."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as it lies in the repository: its configuration and its versions to serve, in ascending order.

    `text` is its config.pbtxt; `files`, by version, are its graph and whatever lies beside it (a graph may keep its
    weights there), as they were when this was read. Two that are equal serve the same.
    """

    config: ModelConfig
    folder: Path
    versions: tuple[int, ...]
    text: str
    files: Mapping[int, Files]

    def graph_path(self, version: int) -> Path:
        """Where the graph of `version` lies."""
        return self.folder / str(version) / self.config.filename

    def check_unchanged(self, version: int) -> None:
        """Raise `ConfigurationError` if the files of `version` are no longer what they were when this was read."""
        try:
            unchanged = _files_beside(self.graph_path(version)) == self.files[version]
        except OSError:
            unchanged = False
        if not unchanged:
            raise ConfigurationError(
                f"{self.graph_path(version)} was changed while it was being loaded; write a new version aside and "
                "rename it into its place"
            )


def read_repository(folder: Path, *, on_triton: bool = False) -> dict[str, StoredModel]:
    """All models in `folder` by name; raises `ConfigurationError` naming the file that cannot be served.

    `on_triton`: see `parse_model_config`.
    """
    models = {}
    for name, model in survey(folder, on_triton=on_triton).items():
        if isinstance(model, ConfigurationError):
            raise model
        models[name] = model
    return models


def survey(
    folder: Path, *, known: Collection[str] = (), on_triton: bool = False
) -> dict[str, StoredModel | ConfigurationError]:
    """All models in `folder` by name, or why one cannot be read.

    A folder without a config.pbtxt is no model, unless it is `known` as one: then something is amiss in it. Raises
    `ConfigurationError` if there is no model at all, which says more about the folder than about the models.
    """
    models: dict[str, StoredModel | ConfigurationError] = {}
    for name in sorted(_names(folder)):
        if name in known or (folder / name / _CONFIG).exists():
            try:
                models[name] = _read_model(folder / name, on_triton=on_triton)
            except ConfigurationError as error:
                models[name] = error
    if not models:
        raise ConfigurationError(f"model repository '{folder}' holds no <model>/{_CONFIG}")
    return models


def read_with_steps(folder: Path, name: str, *, on_triton: bool = False) -> dict[str, StoredModel]:
    """The model `name` in `folder`, with the models of its steps that are there.

    Raises `UnknownModel` if it is not there, `ConfigurationError` if one of them cannot be read.
    """
    names = _names(folder)  # looked up there, so that no name can lead out of the folder
    if name not in names or not (folder / name / _CONFIG).exists():
        raise UnknownModel(f"there is no model '{name[:100]}' in the model repository")
    model = _read_model(folder / name, on_triton=on_triton)
    steps = {step.model for step in model.config.steps} & names
    return {name: model} | {step: _read_model(folder / step, on_triton=on_triton) for step in sorted(steps)}


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_dir()}
    except OSError as error:
        raise ConfigurationError(
            f"model repository '{folder}' is not a folder that can be read ({error.strerror}); set "
            "TOPFIVE_MODEL_REPOSITORY"
        ) from error


def _read_model(folder: Path, *, on_triton: bool) -> StoredModel:
    path = folder / _CONFIG
    try:
        text = path.read_text(encoding="utf-8")
        present = [int(entry.name) for entry in folder.iterdir() if entry.is_dir() and _is_version(entry.name)]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    config = parse_model_config(text, name=folder.name, where=str(path), on_triton=on_triton)
    versions = tuple(config.versions.choose(present))
    if not versions:
        raise ConfigurationError(f"{folder}: none of its version folders {sorted(present)} is chosen by version_policy")
    files = {version: _files_of(folder, version, config) for version in versions}
    return StoredModel(config, folder, versions, text, files)


def _files_of(folder: Path, version: int, config: ModelConfig) -> Files:
    if config.steps:
        return ()  # an ensemble has no graph
    path = folder / str(version) / config.filename
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing; run the export, or set the version_policy")
    try:
        return _files_beside(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error


def _files_beside(path: Path) -> Files:
    found = []
    for entry in sorted(path.parent.iterdir()):
        if not entry.name.startswith(".") and entry.is_file():
            status = entry.stat()
            found.append((entry.name, status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(found)


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")
