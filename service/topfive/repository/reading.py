"""The model repository on disk: which models and versions are there, where their graphs are, and whether they changed.

The layout is Triton's: `<repository>/<model>/config.pbtxt` and `<repository>/<model>/<version>/<file>`. A name with a
leading dot is not part of it, so that an operator can write a new version aside and then rename it. All else that lies
there is left out, and logged once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from topfive.ground.drift import Baseline
from topfive.ground.errors import ConfigurationError, UnknownModel
from topfive.repository.baseline import BASELINE, read_baseline
from topfive.repository.config_text import read_config
from topfive.repository.entries import Entries, LeftOut, read_entries, reason_of, shown
from topfive.repository.file_contents import Contents
from topfive.repository.graph_choice import FLOATING_POINT, ChosenGraph, GraphChoice
from topfive.repository.leftovers import Leftovers
from topfive.repository.misplaced import (
    CONFIG,
    how_to_get_a_graph,
    how_to_get_a_model,
    how_to_get_a_repository,
    how_to_get_a_version,
    is_version,
    why_no_folder,
    why_no_model,
    why_no_version,
)
from topfive.repository.model_config import ModelConfig, parse_model_config
from topfive.repository.published import ASIDE

_EXPECTED: Final = frozenset({CONFIG, BASELINE, "labels.txt", "SHA256SUMS"})
"""Files that belong beside the models or the versions; they are not logged as left out."""

_BESIDE_VERSIONS: Final = f"it is neither {CONFIG} nor the folder of a version"
_NEEDED_BY_TRITON: Final = LeftOut(
    "it is not there; make this folder, empty, if Triton is to serve the ensemble too", suspect=True
)

Files = tuple[tuple[str, int, bytes], ...]
"""Name, size and digest of each file; if they differ, the version has changed."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as it was read from the repository: its configuration and its versions to serve, in ascending order.

    `text` is its config.pbtxt; `graphs`, by version, is which graph is served; `files`, by version, are its graphs and
    all files beside them (a graph may keep its weights there), as they were at the reading. Two stored models that are
    equal serve the same. An ensemble has no files, and needs no version folder. `baseline`: what its images and answers
    are usually like, if it is known; nothing is served otherwise for it.
    """

    config: ModelConfig
    folder: Path
    versions: tuple[int, ...]
    text: str
    graphs: Mapping[int, ChosenGraph]
    files: Mapping[int, Files]
    contents: Contents = field(repr=False, compare=False)
    baseline: Baseline | None = None

    def graph_path(self, version: int) -> Path:
        """The path of the graph of `version` that is served, or would be, in floating point, if the version were."""
        graph = self.graphs.get(version)
        return self.folder / str(version) / (self.config.filename if graph is None else graph.filename)

    def check_unchanged(self, version: int) -> None:
        """Raise `ConfigurationError` if the files of `version` have changed since the reading."""
        try:
            unchanged = _files_beside(self.graph_path(version), self.contents) == self.files[version]
        except OSError:
            unchanged = False
        if not unchanged:
            raise ConfigurationError(
                f"{self.graph_path(version)} was changed while it was being loaded; write a new version aside and "
                "rename it into its place"
            )


class Repository:
    """Reads the models in `folder`, and remembers digests and logged entries from one reading to the next.

    `on_triton`: see `parse_model_config`. `choice`: which graphs are taken. One thread at a time may use it.
    """

    def __init__(self, folder: Path, *, on_triton: bool = False, choice: GraphChoice = FLOATING_POINT) -> None:
        self._folder = folder
        self._on_triton = on_triton
        self._choice = choice
        self._contents = Contents()
        self._leftovers = Leftovers()

    def read(self, *, may_be_empty: bool = False) -> dict[str, StoredModel]:
        """All models by name; raises `ConfigurationError`, which names the file that cannot be served.

        A repository without a model is such an error too, unless it `may_be_empty`.
        """
        found = self.survey(may_be_empty=may_be_empty)
        models = {}
        for name, model in found.items():
            if isinstance(model, ConfigurationError):
                raise model
            models[name] = model
        return models

    def survey(
        self, *, known: Collection[str] = (), may_be_empty: bool = False
    ) -> dict[str, StoredModel | ConfigurationError]:
        """By name, each model, or the error because of which it cannot be read.

        A folder without a config.pbtxt is not a model; but if its name is `known` as a model's, that is an error.
        Raises `ConfigurationError` if there is no model at all, which is a fault of the folder rather than of the
        models, unless none is known and it `may_be_empty`.
        """
        self._contents.turn()
        self._leftovers.begin()
        top = self._top()
        models: dict[str, StoredModel | ConfigurationError] = {}
        for name in top.folders:
            try:
                model = self._model(self._folder / name)
            except ConfigurationError as error:
                models[name] = error
            else:
                if isinstance(model, StoredModel):
                    models[name] = model
                elif name in known:
                    models[name] = ConfigurationError(f"{shown(self._folder / name / CONFIG)}: {model.reason}")
        self._leftovers.tell(everywhere=True)
        if not models and (known or not may_be_empty):
            raise ConfigurationError(self._why_empty(top))
        return models

    def read_with_steps(self, name: str) -> dict[str, StoredModel]:
        """The model `name`, and the models of its steps as far as they are in the repository.

        Raises `UnknownModel` if the model is not there, `ConfigurationError` if one of these models cannot be read.
        """
        self._leftovers.begin()
        names = self._top().folders  # the name must be one of these, so that it cannot lead out of the folder
        model = self._model(self._folder / name) if name in names else None
        if not isinstance(model, StoredModel):
            why = "" if model is None or not model.suspect else f": {model.reason}"
            raise UnknownModel(f"there is no model '{shown(name)[:100]}' in the model repository{why}")
        steps = {step.model for step in model.config.steps}.intersection(names)
        found = {name: model}
        for step in sorted(steps):
            stored = self._model(self._folder / step)
            if isinstance(stored, LeftOut):
                raise ConfigurationError(f"{shown(self._folder / step)}: {stored.reason}")
            found[step] = stored
        self._leftovers.tell(everywhere=False)
        return found

    def _top(self) -> Entries:
        try:
            entries = read_entries(self._folder)
        except OSError as error:
            raise ConfigurationError(
                f"model repository '{shown(self._folder)}' is not a folder that can be read ({reason_of(error)}); "
                f"{how_to_get_a_repository(self._folder)}"
            ) from error
        self._leave_out(self._folder, entries, why_no_folder)
        return entries

    def _model(self, folder: Path) -> StoredModel | LeftOut:
        """The model in `folder`, or why there is none; raises `ConfigurationError` if it cannot be served."""
        try:
            entries = read_entries(folder)
        except OSError as error:
            return self._no_model(folder, LeftOut(f"it cannot be entered ({reason_of(error)})", suspect=True))
        path = folder / CONFIG
        if CONFIG not in entries.files:
            if CONFIG in entries.folders:
                raise ConfigurationError(f"{shown(path)}: it is a folder, not a file; put the configuration there")
            if CONFIG in entries.left_out:
                raise ConfigurationError(f"{shown(path)}: {entries.left_out[CONFIG].reason}")
            return self._no_model(folder, why_no_model(folder, entries))
        self._leave_out(folder, entries, lambda _: LeftOut(_BESIDE_VERSIONS, suspect=False))
        for name in entries.folders:
            if not is_version(name):
                self._leftovers.add(folder / name, why_no_version(name, entries.folders))
        return self._stored(folder, entries)

    def _stored(self, folder: Path, entries: Entries) -> StoredModel:
        path = folder / CONFIG
        try:
            text = read_config(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        config = parse_model_config(text, name=folder.name, where=str(path), on_triton=self._on_triton)
        present = [int(name) for name in entries.folders if is_version(name)]
        if config.steps and not present:
            present = [1]  # an ensemble's version folder is empty, and git and object stores keep no empty folders
            if self._on_triton:
                self._leftovers.add(folder / "1", _NEEDED_BY_TRITON)
        versions = tuple(config.versions.choose(present))
        if not versions:
            what = (
                f"none of its version folders {sorted(present)} is chosen by version_policy"
                if present
                else "there is no version folder that version_policy could choose; "
                + how_to_get_a_version(folder, entries, config.filename)
            )
            raise ConfigurationError(f"{folder}: {what}")
        files = {version: self._files_of(folder, version, config) for version in versions}
        _check_int8_is_there(folder, present, config)
        graphs = {version: self._choice.choose(config, [name for name, *_ in files[version]]) for version in versions}
        baseline = self._baseline(folder, entries)
        return StoredModel(config, folder, versions, text, graphs, files, self._contents, baseline)

    def _baseline(self, folder: Path, entries: Entries) -> Baseline | None:
        """The model's baseline. One that cannot be read is left out: no request is worth less without it."""
        if BASELINE not in entries.files:
            return None
        try:
            return read_baseline(folder / BASELINE)
        except ConfigurationError as error:
            self._leftovers.add(folder / BASELINE, LeftOut(str(error), suspect=True))
            return None

    def _files_of(self, folder: Path, version: int, config: ModelConfig) -> Files:
        if config.steps:
            return ()  # an ensemble has no graph
        path = folder / str(version) / config.filename
        try:
            if path.is_file():
                return _files_beside(path, self._contents)
        except OSError as error:
            raise _unreadable(path, error) from error
        raise ConfigurationError(f"{path} is missing; {how_to_get_a_graph(path)}")

    def _no_model(self, folder: Path, why: LeftOut) -> LeftOut:
        self._leftovers.add(folder, why)
        return why

    def _leave_out(self, folder: Path, entries: Entries, why_file: Callable[[Path], LeftOut]) -> None:
        for name, why in entries.left_out.items():
            if name != ASIDE:
                self._leftovers.add(folder / name, why)
        for name in entries.files:
            if name not in _EXPECTED:
                self._leftovers.add(folder / name, why_file(folder / name))

    def _why_empty(self, top: Entries) -> str:
        suspects = self._leftovers.suspects()[:3] if CONFIG not in top.files else []
        advice = [*suspects] or [how_to_get_a_model(self._folder, top)]
        return "; ".join([f"model repository '{shown(self._folder)}' holds no <model>/{CONFIG}", *advice])


def check_some_int8(stored: Iterable[StoredModel]) -> None:
    """Raise `ConfigurationError` unless a version of some model is served from its int8 graph."""
    named = [model for model in stored if model.config.int8_filename]
    graphs = {model.config.name: list(model.graphs.values()) for model in named}
    if any(not graph.why_not_int8 for chosen in graphs.values() for graph in chosen):
        return
    why = "; ".join(f"{name}: {chosen[-1].why_not_int8}" for name, chosen in graphs.items())
    raise ConfigurationError(
        "precision 'int8' is set, and no model is served from an int8 graph: "
        f"{why or 'no config.pbtxt names one as parameters int8_model_filename'}; `topfive optimise NAME --as beside` "
        "writes one, or set precision 'auto'"
    )


def _check_int8_is_there(folder: Path, present: Sequence[int], config: ModelConfig) -> None:
    """Raise `ConfigurationError` if no version, served or not, has the int8 graph that `config` names."""
    wanted, newest = config.int8_filename, folder / str(max(present))
    if wanted and not any(wanted in _names(folder / str(version)) for version in present):
        raise ConfigurationError(
            f"{folder / CONFIG}: parameters int8_model_filename is '{wanted}', and no version has that file; put it at "
            f"'{newest / wanted}' (`topfive optimise NAME --as beside` writes one), or remove the parameter"
        )


def _names(folder: Path) -> Collection[str]:
    try:
        return read_entries(folder).files
    except OSError:
        return ()


def _unreadable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path}: cannot be read ({reason_of(error)}); let the service's user read it")


def _files_beside(path: Path, contents: Contents) -> Files:
    found = []
    for name in read_entries(path.parent).files:
        file = path.parent / name
        status = file.stat()
        found.append((name, status.st_size, contents.digest(file, status)))
    return tuple(found)
