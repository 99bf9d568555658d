"""Writes a model into a repository: aside first, under a name that no server reads, and then by renaming.

What lives here: folders, files and versions. What does not: what the graphs are, and the proof between the two steps.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Self

import onnx

from topfive.ground.errors import ConfigurationError
from topfive.repository.misplaced import CONFIG, is_version
from topfive_pipeline.entry.configs import Shape, check_same_interface, config_texts, with_int8
from topfive_pipeline.entry.locking import is_in_use, locked
from topfive_pipeline.entry.names import GRAPH, INT8_GRAPH, LABELS, classify_name, folders, graph_path, resize_name

_EMPTY = ".gitkeep"
"""Git keeps no empty folder, and Triton wants a version folder of an ensemble."""
_IMPORTING: Final = ".importing-"
_REPLACED: Final = ".replaced-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model to write: graphs by the name of their folder, labels, and what its configurations depend on.

    A graph that is given as a path is copied as it is. `int8`: a further classify graph, which lies beside the one in
    `graphs`. `external`: files of weights to copy beside the classify graph, by the names that the graph has for them.
    """

    name: str
    graphs: Mapping[str, onnx.ModelProto | Path]
    labels: Sequence[str]
    shape: Shape
    external: Mapping[str, Path] = field(default_factory=dict)
    int8: onnx.ModelProto | None = None


def next_version(repository: Path, name: str) -> int:
    """One more than the highest version of either graph of the model `name` in `repository`; 1 if there is none."""
    graphs = (resize_name(name), classify_name(name))
    return max((version for graph in graphs for version in versions(repository / graph)), default=0) + 1


def versions(folder: Path) -> list[int]:
    """The versions in a model's folder, in ascending order."""
    return sorted(int(path.name) for path in folder.glob("*") if path.is_dir() and is_version(path.name))


def check_place(entry: Entry, repository: Path, *, version: int, replace: bool) -> None:
    """Raise `ConfigurationError` if `entry` cannot be written into `repository` as `version`."""
    if repository.exists() and not repository.is_dir():
        raise ConfigurationError(f"--repository {repository}: it is a file; name a folder of models, or a new one")
    for other in (path.name for path in repository.glob("*/") if entry.name in folders(path.name)[:-1]):
        raise ConfigurationError(f"--name {entry.name}: it is a part of the model '{other}'; choose another name")
    there = [model for model in folders(entry.name) if (repository / model).exists()]
    if replace:
        _check_users(repository, there, name=entry.name)
    if not there or replace:
        return
    if len(there) < len(folders(entry.name)):
        raise ConfigurationError(
            f"{repository} has {', '.join(there)}, which is not the whole of a model '{entry.name}'; choose another "
            "--name, or --replace to remove that and write all of it anew"
        )
    for model in (classify_name(entry.name), resize_name(entry.name)):
        if version in versions(repository / model):
            raise ConfigurationError(
                f"{repository / model / str(version)} is there already; leave --version out to take the next, "
                f"{next_version(repository, entry.name)}, or --replace to write the model anew"
            )
    _check_configs(entry, repository)


def _check_configs(entry: Entry, repository: Path) -> None:
    """Raise `ConfigurationError` if a further version cannot be served with the configurations that are there."""
    for model, text in config_texts(entry.name, entry.shape).items():
        path = repository / model / CONFIG
        if not path.is_file():
            raise ConfigurationError(f"{path} is missing; --replace writes the model anew")
        present = path.read_text(encoding="utf-8")
        check_same_interface(present, text, name=model, where=str(path))
        if entry.int8 is not None and model == classify_name(entry.name):
            with_int8(present, name=model, where=str(path))


def _check_users(repository: Path, there: Sequence[str], *, name: str) -> None:
    """Raise `ConfigurationError` if a model other than `name` needs one of the folders `there`."""
    for model in there:
        if users := _users(repository, model, besides=name):
            raise ConfigurationError(
                f"--replace would remove {repository / model}, a step of {', '.join(users)}; choose another --name"
            )


def _users(repository: Path, model: str, *, besides: str) -> list[str]:
    """The models of `repository` that have `model` as a step, without that called `besides`."""
    step = re.compile(rf'model_name\s*:\s*["\']{re.escape(model)}["\']')
    configs = [path for path in sorted(repository.glob(f"*/{CONFIG}")) if path.parent.name not in (besides, model)]
    return [path.parent.name for path in configs if step.search(path.read_text(encoding="utf-8", errors="replace"))]


def doubts_of_version(entry: Entry, repository: Path) -> list[str]:
    """A sentence if a further version has other labels than the versions that are there."""
    path = repository / entry.name / LABELS
    if not path.is_file():
        return []
    there = path.read_text(encoding="utf-8").splitlines()
    if there == list(entry.labels):
        return []
    counts = f"{len(entry.labels)} and {len(there)}"
    return [f"this version and the one before have other labels ({counts}); {path} has those of the newest"]


@contextmanager
def written_aside(entry: Entry, repository: Path, *, version: int) -> Iterator[Path]:
    """Write `entry` into a repository of its own inside `repository`, where no server sees it; yield that folder.

    What is left of it is removed afterwards, and `repository` too if it is new and stayed empty. What imports left that
    were killed is removed first.
    """
    new = [folder for folder in (repository, *repository.parents) if not folder.exists()]
    with ExitStack() as stack:
        stack.callback(_remove_empty, new)
        try:
            repository.mkdir(parents=True, exist_ok=True)
            with locked(repository):
                _remove_abandoned(repository)
                aside = Path(mkdtemp(prefix=f".{entry.name}{_IMPORTING}", dir=repository))
                stack.callback(shutil.rmtree, aside, ignore_errors=True)
                stack.enter_context(locked(aside))
            aside.chmod(0o755)  # mkdtemp makes it for this user only, and servers run as others
            _write(entry, aside, version)
        except OSError as error:
            raise ConfigurationError(
                f"--repository {repository}: cannot be written ({error.strerror or error})"
            ) from error
        yield aside


def put_in_place(aside: Path, repository: Path, *, name: str, version: int, replace: bool) -> list[Path]:
    """Rename what `written_aside` wrote into its place in `repository`; return the folders that are new there.

    A model's first version comes as whole folders, the ensemble last. A further one comes as version folders beside
    those that are there; a resize graph that has not changed gets none. Configurations stay as they are, but for the
    name of an int8 graph, if the new version is the first that has one.

    All of it or nothing: what was renamed is renamed back if something fails or somebody stops it. Raises
    `ConfigurationError` if another import has written the same meanwhile.
    """
    try:
        with locked(repository), ExitStack() as stack:
            gone = Path(mkdtemp(prefix=f".{name}{_REPLACED}", dir=repository))
            stack.callback(_remove_empty, [gone])
            renames = stack.enter_context(_Renames())
            if replace:  # the present folders leave the sight of servers, the ensemble first
                for model in reversed(folders(name)):
                    if (repository / model).exists():
                        renames.rename(repository / model, gone / model)
            if replace or not (repository / name).exists():
                made = [renames.rename(aside / model, repository / model) for model in folders(name)]
            else:
                made = _add_version(aside, repository, name=name, version=version, renames=renames)
    except OSError as error:
        raise ConfigurationError(f"{repository}: cannot be written ({error}); it is as it was") from error
    for left in repository.glob(f".{name}{_REPLACED}*"):
        shutil.rmtree(left, ignore_errors=True)
    return made


def _add_version(aside: Path, repository: Path, *, name: str, version: int, renames: _Renames) -> list[Path]:
    resize, classify = (repository / model for model in (resize_name(name), classify_name(name)))
    latest = graph_path(repository, resize.name, max(versions(resize), default=0))
    made = [classify]
    if not latest.is_file() or latest.read_bytes() != graph_path(aside, resize.name, version).read_bytes():
        made.insert(0, resize)
    places = [renames.rename(aside / model.name / str(version), model / str(version)) for model in made]
    if (places[-1] / INT8_GRAPH).is_file():  # last, for a configuration that names what no version has is refused
        _name_int8(classify, aside, renames)
    (aside / name / LABELS).replace(repository / name / LABELS)
    return places


def _name_int8(classify: Path, aside: Path, renames: _Renames) -> None:
    """Have the config.pbtxt of the folder `classify` name the int8 graph."""
    config = classify / CONFIG
    text = config.read_text(encoding="utf-8")
    wanted = with_int8(text, name=classify.name, where=str(config))
    if wanted != text:
        renames.write(config, wanted, aside=aside)


class _Renames:
    """Renames, and what they replace, that are taken back, the last first, if the context ends with an error."""

    def __init__(self) -> None:
        self._done: list[tuple[Path, Path]] = []
        self._written: list[tuple[Path, Path]] = []

    def rename(self, source: Path, target: Path) -> Path:
        """Rename a folder; return `target`. Raises `ConfigurationError` if that is there."""
        if target.exists():
            raise ConfigurationError(
                f"{target}: another import has written it meanwhile, and it is as it was; import again"
            )
        self._done.append((source, target))
        source.replace(target)
        return target

    def write(self, path: Path, text: str, *, aside: Path) -> None:
        """Write `text` into the file at `path` at once, by way of the folder `aside`; it has its present mode."""
        before, after = aside / "before", aside / "after"
        shutil.copy2(path, before)
        shutil.copy2(path, after)
        after.write_text(text, encoding="utf-8", newline="\n")
        self._written.append((before, path))
        after.replace(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return
        for before, path in self._written:
            before.replace(path)
        for source, target in reversed(self._done):
            if target.exists() and not source.exists():
                target.rename(source)


def _remove_abandoned(repository: Path) -> None:
    """Remove what imports wrote aside that did not live to remove it; the lock of `repository` is held."""
    for left in repository.glob(f".*{_IMPORTING}*"):
        if not is_in_use(left):
            shutil.rmtree(left, ignore_errors=True)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove these, the innermost first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _write(entry: Entry, repository: Path, version: int) -> None:
    for model, text in config_texts(entry.name, entry.shape).items():
        folder = repository / model / str(version if model in entry.graphs else 1)
        folder.mkdir(parents=True)
        config = text
        if entry.int8 is not None and model == classify_name(entry.name):
            config = with_int8(text, name=model, where=CONFIG)
            (folder / INT8_GRAPH).write_bytes(entry.int8.SerializeToString(deterministic=True))
        (repository / model / CONFIG).write_text(config, encoding="utf-8", newline="\n")
        graph = entry.graphs.get(model)
        if isinstance(graph, Path):
            shutil.copyfile(graph, folder / GRAPH)
        elif graph is not None:
            (folder / GRAPH).write_bytes(graph.SerializeToString(deterministic=True))
        else:
            (folder / _EMPTY).touch()
    for location, file in entry.external.items():
        target = repository / classify_name(entry.name) / str(version) / location
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    text = "".join(f"{label}\n" for label in entry.labels)
    (repository / entry.name / LABELS).write_text(text, encoding="utf-8", newline="\n")
