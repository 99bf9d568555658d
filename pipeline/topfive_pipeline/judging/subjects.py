"""The models that are judged: found in repositories by name and version, with the files that the server would run.

What does not live here: running them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from topfive.backends.onnx_runtime import may_use_gpu
from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import dot_products_of_bytes
from topfive.models.wiring import apply, classifies, version_of_step
from topfive.repository.accelerators import Engine
from topfive.repository.graph_choice import GraphChoice, graph_choice
from topfive.repository.misplaced import is_version
from topfive.repository.model_config import ModelConfig
from topfive.repository.reading import Repository, StoredModel
from topfive_pipeline.entry.names import LABELS
from topfive_pipeline.judging.ways import Numbers, Way, changed_by, numbers_of, read_way, why_not_so

_ASKED: Final = re.compile(r"(?P<where>.+/)?(?P<name>[^/:@]+)(:(?P<version>\d+))?(@(?P<way>.*))?")


@dataclass(frozen=True, slots=True)
class Part:
    """One graph as the server would load it: its file, and its configuration."""

    path: Path
    config: ModelConfig

    @property
    def int8(self) -> Path | None:
        """The int8 graph beside it that its configuration names, if there is one, and it is another."""
        beside = self.path.with_name(self.config.int8_filename or self.path.name)
        return beside if beside != self.path and beside.is_file() else None

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

    `resize`: None if the classifier takes images of any size. `folder`: of the model that clients call.
    """

    title: str
    labels: tuple[str, ...]
    resize: Part | None
    classify: Part
    folder: Path = Path()

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its graphs in the order in which an image passes them."""
        return (self.classify,) if self.resize is None else (self.resize, self.classify)

    @property
    def engine(self) -> Engine:
        """What runs its classifier."""
        return self.classify.config.engine

    @property
    def numbers(self) -> Numbers:
        """What its classifier computes in."""
        return numbers_of(self.classify.path, self.classify.config)


class CannotRun(ConfigurationError):
    """A model that is there cannot run here in the way that is asked for."""

    def __init__(self, title: str, way: Way, why: str) -> None:
        super().__init__(f"{title} cannot run{f' as {way}' if way != Way() else ''}: {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Missing:
    """A way, in words, in which none of the models that are asked for can run here, and why."""

    way: str
    why: str


def find(asked: Sequence[str], repository: Path, *, original: bool = False) -> list[Subject]:
    """The models that are `asked` for, as NAME or NAME:VERSION, of `repository` or of another: FOLDER/NAME.

    After an @ there may be how it is to run (`judging.ways`), if not as its config.pbtxt says. Without a version it is
    the one that the server would serve. A version that is asked for need not be one that the `version_policy` lets be
    served. Of a version with two graphs it is the one that the server would take on this machine, unless a precision is
    said, or `original` asks for the one in floating point. Raises `ConfigurationError` if one is not there, is asked
    for twice, or cannot run here as it is to run.
    """
    read: dict[Path, dict[str, StoredModel]] = {}
    return _different([_find(each, repository, read, original=original) for each in asked])


def find_in_ways(
    asked: Sequence[str], repository: Path, ways: Sequence[Way]
) -> tuple[list[Subject], tuple[Missing, ...]]:
    """The models that are `asked` for, as `find` has it, in each of `ways` in which they can run; and the others.

    Raises `ConfigurationError` as `find` does, and if no model can run in any.
    """
    read: dict[Path, dict[str, StoredModel]] = {}
    subjects: list[Subject] = []
    missing = []
    for way in ways:
        reasons: dict[str, None] = {}
        before = len(subjects)
        for each in asked:
            if "@" in each:
                raise ConfigurationError(f"{each!r}: leave out --engines and --precisions, or what is behind the @")
            try:
                subjects.append(_find(f"{each}@{way}", repository, read))
            except CannotRun as error:
                reasons[error.why] = None
        if len(subjects) == before:
            missing.append(Missing(way.words, "; ".join(reasons)))
    if not subjects:
        reasons = dict.fromkeys(each.why for each in missing)
        raise ConfigurationError(f"{', '.join(asked)} can run in no way that is asked for: {'; '.join(reasons)}")
    return _different(subjects), tuple(missing)


def _different(subjects: list[Subject]) -> list[Subject]:
    """`subjects`; raises `ConfigurationError` if two are the same."""
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


def _find(asked: str, repository: Path, read: dict[Path, dict[str, StoredModel]], *, original: bool = False) -> Subject:
    said = _ASKED.fullmatch(asked)
    if said is None:
        raise ConfigurationError(
            f"{asked!r} is no model; say NAME, NAME:VERSION, or FOLDER/NAME of another repository, and after "
            "it perhaps @ENGINE-PRECISION"
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
    found = _subject(stored[name], stored, version, prefix=said["where"] or "")
    way = Way() if said["way"] is None else read_way(said["way"], of=asked)
    beside = found.classify.int8
    return _running(found, way) if beside is None else _of_two(found, beside, way, original=original)


def choice_here() -> GraphChoice:
    """By what the server would choose between the graphs of a version on this machine."""
    return graph_choice("auto", dot_products_of_bytes(), backend="embedded", has_gpu=may_use_gpu())


def _of_two(subject: Subject, beside: Path, way: Way, *, original: bool) -> Subject:
    """`subject` in this `way`, with the int8 graph `beside` its own if that is wanted; its title says which it is."""
    config = subject.classify.config
    wanted = way.numbers
    if wanted is None:
        takes_int8 = not original and choice_here().choose(config, [beside.name]).filename == beside.name
        wanted = "int8" if takes_int8 else changed_by(config, way).precision
    part = Part(beside, config) if wanted == "int8" else subject.classify
    return _running(replace(subject, classify=part), replace(way, numbers=wanted))


def _running(subject: Subject, way: Way) -> Subject:
    """`subject` in this `way`, which its title then names."""
    path, config = subject.classify.path, subject.classify.config
    if (why := why_not_so(path, config, way)) is not None:
        raise CannotRun(subject.title, way, why)
    if way == Way():
        return subject
    return replace(subject, title=f"{subject.title}@{way}", classify=Part(path, changed_by(config, way)))


def _subject(model: StoredModel, stored: Mapping[str, StoredModel], version: int | None, *, prefix: str) -> Subject:
    resize, classifier = None, model
    if model.config.steps:
        first, second = model.config.steps
        preparing, classifier = stored[first.model], stored[second.model]
        resize = Part(preparing.graph_path(version_of_step(first, preparing.versions, model)), preparing.config)
        served = version_of_step(second, classifier.versions, model)
    else:
        served = max(model.versions)
        _check_takes_any_size(model)
    version = served if version is None else version
    path = classifier.graph_path(version)
    if not path.is_file():
        there = sorted(int(each.name) for each in classifier.folder.iterdir() if is_version(each.name))
        raise ConfigurationError(
            f"'{model.config.name}' has no version {version}: {path} is missing; versions that are there: "
            f"{', '.join(map(str, there))}"
        )
    return Subject(
        f"{prefix}{model.config.name}:{version}", _labels(model), resize, Part(path, classifier.config), model.folder
    )


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
