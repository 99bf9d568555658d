"""Writes a model into a repository: aside first, under a name that no server reads, and then by renaming.

What lives here: folders, files and versions. What does not: what the graphs are, and the proof between the two steps.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import onnx

from topfive.ground.errors import ConfigurationError
from topfive.repository.misplaced import CONFIG, is_version
from topfive_pipeline.entry.configs import Shape, check_same_interface, config_texts
from topfive_pipeline.entry.names import GRAPH, LABELS, classify_name, folders, graph_path, resize_name

_EMPTY = ".gitkeep"
"""Git keeps no empty folder, and Triton wants a version folder of an ensemble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model to write: graphs by the name of their folder, labels, and what its configurations depend on.

    `external`: files of weights to copy beside the classify graph, by the names that the graph has for them.
    """

    name: str
    graphs: Mapping[str, onnx.ModelProto]
    labels: Sequence[str]
    shape: Shape
    external: Mapping[str, Path] = field(default_factory=dict)


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
    if not there or replace:
        return
    if len(there) < len(folders(entry.name)):
        raise ConfigurationError(
            f"{repository} has {', '.join(there)}, which is not the whole of a model '{entry.name}'; choose another "
            "--name, or --replace to write all of it anew"
        )
    for model in (classify_name(entry.name), resize_name(entry.name)):
        if version in versions(repository / model):
            raise ConfigurationError(
                f"{repository / model / str(version)} is there already; leave --version out to take the next, "
                f"{next_version(repository, entry.name)}, or --replace to write the model anew"
            )
    for model, text in config_texts(entry.name, entry.shape).items():
        path = repository / model / CONFIG
        if not path.is_file():
            raise ConfigurationError(f"{path} is missing; --replace writes the model anew")
        check_same_interface(path.read_text(encoding="utf-8"), text, name=model, where=str(path))


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

    What is left of it is removed afterwards, and `repository` too if it is new and stayed empty.
    """
    is_new = not repository.exists()
    try:
        repository.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(prefix=f".{entry.name}.importing-", dir=repository))
    except OSError as error:
        raise ConfigurationError(f"--repository {repository}: cannot be written ({error.strerror or error})") from error
    try:
        aside.chmod(0o755)  # mkdtemp makes it for this user only, and servers run as others
        _write(entry, aside, version)
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if is_new and not any(repository.iterdir()):
            repository.rmdir()


def put_in_place(aside: Path, repository: Path, *, name: str, version: int, replace: bool) -> list[Path]:
    """Rename what `written_aside` wrote into its place in `repository`; return the folders that are new there.

    A model's first version comes as whole folders, the ensemble last. A further one comes as version folders beside
    those that are there, whose configurations stay as they are; a resize graph that has not changed gets none.

    Raises `ConfigurationError` if it cannot be done; then `repository` is as it was.
    """
    gone = Path(mkdtemp(prefix=f".{name}.replaced-", dir=repository))
    moves: list[tuple[Path, Path]] = []
    if replace:  # the present folders leave the sight of servers, the ensemble first
        there = [model for model in reversed(folders(name)) if (repository / model).exists()]
        moves += [(repository / model, gone / model) for model in there]
    if replace or not (repository / name).exists():
        made = [repository / model for model in folders(name)]
        moves += [(aside / model.name, model) for model in made]
    else:
        made = _new_versions(aside, repository, name, version)
        moves += [(aside / folder.relative_to(repository), folder) for folder in made]
        moves += [(aside / name / LABELS, repository / name / LABELS)]
    try:
        _move_all(moves)
    except OSError as error:
        raise ConfigurationError(f"{repository}: cannot be written ({error}); it is as it was") from error
    finally:
        shutil.rmtree(gone)
    return made


def _new_versions(aside: Path, repository: Path, name: str, version: int) -> list[Path]:
    """The version folders that a further version needs."""
    resize = repository / resize_name(name)
    latest = graph_path(repository, resize.name, max(versions(resize), default=0))
    same = latest.is_file() and latest.read_bytes() == graph_path(aside, resize.name, version).read_bytes()
    classify = repository / classify_name(name) / str(version)
    return [classify] if same else [resize / str(version), classify]


def _move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename each first path to its second; if one cannot be, the ones before it are undone. Raises OSError."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.replace(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _write(entry: Entry, repository: Path, version: int) -> None:
    for model, text in config_texts(entry.name, entry.shape).items():
        folder = repository / model / str(version if model in entry.graphs else 1)
        folder.mkdir(parents=True)
        (repository / model / CONFIG).write_text(text, encoding="utf-8", newline="\n")
        if (graph := entry.graphs.get(model)) is not None:
            (folder / GRAPH).write_bytes(graph.SerializeToString(deterministic=True))
        else:
            (folder / _EMPTY).touch()
    for location, file in entry.external.items():
        target = repository / classify_name(entry.name) / str(version) / location
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    text = "".join(f"{label}\n" for label in entry.labels)
    (repository / entry.name / LABELS).write_text(text, encoding="utf-8", newline="\n")
