"""The models that are judged: found in repositories by name and version, with the files that the server would run.

What does not live here: running them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from topfive.backends.onnx_runtime import may_use_gpu
from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import dot_products_of_bytes
from topfive.models.wiring import apply, classifies, version_of_step
from topfive.repository.graph_choice import graph_choice
from topfive.repository.misplaced import is_version
from topfive.repository.model_config import ModelConfig
from topfive.repository.reading import Repository, StoredModel
from topfive_pipeline.entry.names import LABELS

_ASKED: Final = re.compile(r"(?P<where>.+/)?(?P<name>[^/:@]+)(:(?P<version>\d+))?(@(?P<graph>fp32|int8))?")

Which = Literal["served", "fp32", "int8"]
"""Of a version with two graphs, the one that the server takes on this machine, or one by its name."""


@dataclass(frozen=True, slots=True)
class Part:
    """One graph as the server would load it: its file, and its configuration."""

    path: Path
    config: ModelConfig

    @property
    def files(self) -> list[Path]:
        """The graph, and all files beside it, where its weights may be; not another graph of the same version."""
        others = {self.config.filename, self.config.int8_filename} - {self.path.name}
        found = (file for file in sorted(self.path.parent.rglob("*")) if file.is_file())
        return [file for file in found if str(file.relative_to(self.path.parent)) not in others]

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.stat().st_size for file in self.files)


@dataclass(frozen=True, slots=True)
class Subject:
    """One version of a model: what it is called here, its labels if known, and its graphs.

    `resize`: None if the classifier takes images of any size.
    """

    title: str
    labels: tuple[str, ...]
    resize: Part | None
    classify: Part

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its graphs in the order in which an image passes them."""
        return (self.classify,) if self.resize is None else (self.resize, self.classify)


def find(asked: Sequence[str], repository: Path, *, graph: Which = "served") -> list[Subject]:
    """The models that are `asked` for, as NAME or NAME:VERSION, of `repository` or of another: FOLDER/NAME.

    Without a version it is the one that the server would serve. A version that is asked for need not be one that the
    `version_policy` lets be served. Of a version that has an int8 graph too, `@fp32` or `@int8` behind it says which,
    and `graph` where that is missing. Raises `ConfigurationError` if one is not there, or is asked for twice.
    """
    read: dict[Path, dict[str, StoredModel]] = {}
    subjects = [_find(each, repository, read, graph) for each in asked]
    titles = [subject.title for subject in subjects]
    for title in titles:
        if titles.count(title) > 1:
            raise ConfigurationError(f"{title} is asked for twice; name each version once")
    return subjects


def other_labels(subjects: Sequence[Subject]) -> list[str]:
    """A warning for each subject with other labels than the first: sources write the same classes differently."""
    first = subjects[0]
    warnings = []
    for other in subjects[1:]:
        differ = sum(one != another for one, another in zip(first.labels, other.labels, strict=False))
        if differ:
            warnings.append(
                f"{differ} of {len(first.labels)} labels of {other.title} are written otherwise than those of "
                f"{first.title}: are they the same classes in the same order?"
            )
    return warnings


def _find(asked: str, repository: Path, read: dict[Path, dict[str, StoredModel]], graph: Which) -> Subject:
    said = _ASKED.fullmatch(asked)
    if said is None:
        raise ConfigurationError(
            f"{asked!r} is no model; say NAME, NAME:VERSION, NAME:VERSION@fp32 or @int8, or FOLDER/NAME of another "
            "repository"
        )
    folder = Path(said["where"]) if said["where"] else repository
    if folder not in read:
        read[folder] = apply({}, Repository(folder).read())
    stored, name = read[folder], said["name"]
    steps = {step.model for model in stored.values() for step in model.config.steps}
    called = [each for each, model in stored.items() if each not in steps and (model.config.steps or classifies(model))]
    if name not in called:
        raise ConfigurationError(f"{folder} has no model '{name}' that clients can ask; it has {', '.join(called)}")
    version = None if said["version"] is None else int(said["version"])
    wanted = cast("Which", said["graph"] or graph)
    return _subject(stored[name], stored, version, wanted, prefix=said["where"] or "")


def _subject(
    model: StoredModel, stored: Mapping[str, StoredModel], version: int | None, graph: Which, *, prefix: str
) -> Subject:
    resize, classifier = None, model
    if model.config.steps:
        first, second = model.config.steps
        preparing, classifier = stored[first.model], stored[second.model]
        resize = Part(preparing.graph_path(version_of_step(first, preparing.versions, model)), preparing.config)
        served = version_of_step(second, classifier.versions, model)
    else:
        served = max(model.versions)
        _check_takes_any_size(model)
    if classifier.config.engine != "onnxruntime":
        raise ConfigurationError(
            f"'{classifier.config.name}' runs on another engine ({classifier.config.engine}) by its config.pbtxt, and "
            "what is measured here runs on ONNX Runtime; take a copy without execution_accelerators"
        )
    version = served if version is None else version
    path, suffix = _graph(model.config.name, classifier, version, graph)
    title = f"{prefix}{model.config.name}:{version}{suffix}"
    return Subject(title, _labels(model), resize, Part(path, classifier.config))


def _graph(name: str, classifier: StoredModel, version: int, which: Which) -> tuple[Path, str]:
    """The graph of `version` that is asked for, and how that is said where there are two."""
    folder, config = classifier.folder / str(version), classifier.config
    path = folder / config.filename
    if not path.is_file():
        there = sorted(int(each.name) for each in classifier.folder.iterdir() if is_version(each.name))
        raise ConfigurationError(
            f"'{name}' has no version {version}: {path} is missing; versions that are there: "
            f"{', '.join(map(str, there))}"
        )
    if not config.int8_filename or not (folder / config.int8_filename).is_file():
        if which == "int8":
            raise ConfigurationError(
                f"version {version} of '{name}' has no int8 graph beside its own, which its config.pbtxt would name as "
                "int8_model_filename; `topfive optimise NAME --as beside` writes one"
            )
        return path, ""
    if which == "served":
        choice = graph_choice("auto", dot_products_of_bytes(), backend="embedded", has_gpu=may_use_gpu())
        which = "fp32" if choice.choose(config, [config.int8_filename]).why_not_int8 else "int8"
    return (folder / config.int8_filename if which == "int8" else path), f"@{which}"


def _check_takes_any_size(model: StoredModel) -> None:
    """Raise `ConfigurationError` if photos would have to have one size."""
    if -1 not in model.config.inputs[0].shape[1:3]:
        raise ConfigurationError(
            f"'{model.config.name}' takes images of one size only, so photos cannot judge it; it needs an "
            "ensemble with a model that resizes"
        )


def _labels(model: StoredModel) -> tuple[str, ...]:
    listed = model.folder / LABELS
    return tuple(listed.read_text(encoding="utf-8").splitlines()) if listed.is_file() else ()
