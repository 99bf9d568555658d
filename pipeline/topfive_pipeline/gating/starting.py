"""Who competes: finds the candidate and the live version, and starts the real server for each that has none yet.

What lives here: what may be said of a contestant, and a repository with nothing but its version. What does not: the
server's process (`proof.served`), and what is asked of it (`gating.client`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from google.protobuf import text_format

from topfive.ground.errors import ConfigurationError
from topfive.repository.accelerators import engine_of
from topfive.repository.misplaced import CONFIG, is_version
from topfive_pipeline.gating.client import identified
from topfive_pipeline.gating.contestants import Contestant, Pair
from topfive_pipeline.judging.subjects import Part, Subject, find
from topfive_pipeline.proof.served import serve

_URL: Final = re.compile(
    r"(?P<url>https?://(\[[0-9a-fA-F:.]+\]|[^/\s:@?#\[\]]+)(:\d{1,5})?)"
    r"(/(?P<model>[^/\s:?#@]+)(:(?P<version>[1-9]\d*))?)?/?"
)

_INT8_FILENAME: Final = "int8_model_filename"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Who is to compete, as it was said.

    `api_keys`: the candidate's and the live version's, of services that are running; "" for none.
    """

    candidate: str
    live: str
    repository: Path
    api_keys: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Competing:
    """Both before a server is started: each with its graphs, or, of a running service, its address."""

    candidate: Subject | Contestant
    live: Subject | Contestant

    @property
    def subjects(self) -> list[Subject]:
        """Those whose files are here."""
        return [each for each in (self.candidate, self.live) if isinstance(each, Subject)]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes by their indices; empty if no repository tells them."""
        return next((subject.labels for subject in self.subjects if subject.labels), ())


def competing(wanted: Wanted) -> Competing:
    """Who is meant; raises `ConfigurationError` if one is not there, or cannot run here as is said.

    Each of both is NAME, NAME:VERSION or FOLDER/NAME:VERSION of a repository, perhaps with @int8 or the like behind it
    (`judging.ways`), or the address of a service that runs: http://host:port, and perhaps /NAME:VERSION. They must not
    be the same version.
    """
    said = zip((wanted.candidate, wanted.live), wanted.api_keys, strict=True)
    both = Competing(*(_at_url(each, key) if _is_url(each) else _found(each, wanted.repository) for each, key in said))
    if len(both.subjects) > 1 and len({_what(subject) for subject in both.subjects}) == 1:
        raise _same(wanted.candidate, wanted.live)
    return both


def _what(subject: Subject) -> tuple[object, ...]:
    """What a server of `subject` would load; equal for a version that is named in two ways."""
    graphs = [(part.path.resolve(), part.config.engine, part.config.precision) for part in subject.parts]
    return (subject.folder.resolve(), *graphs)


def _same(candidate: str, live: str) -> ConfigurationError:
    """A gate of a version against itself is always met, so a wrong name would let everything through."""
    return ConfigurationError(f"{candidate} and {live} are the same version; name the one that wants to go live first")


@contextmanager
def started(both: Competing, progress: Progress, *, cores: int = 0) -> Iterator[Pair]:
    """Have both answer while the context lasts, servers that are started on so many `cores`, 0 for all.

    Raises `ConfigurationError` if one cannot be served, or does not answer.
    """
    with ExitStack() as servers:
        contestants = []
        for each in (both.candidate, both.live):
            if isinstance(each, Subject):
                progress(f"starting the server of {each.title}")
                contestants.append(identified(servers.enter_context(_served(each, cores=cores))))
            else:
                contestants.append(identified(each))
        pair = Pair(*contestants)
        if len({(each.url, each.model, each.version) for each in contestants}) == 1:
            raise _same(pair.candidate.title, pair.live.title)
        yield pair


def _is_url(said: str) -> bool:
    return said.startswith(("http://", "https://"))


def _at_url(said: str, api_key: str) -> Contestant:
    """What is `said` of a service; its model is "" where the service's own choice is meant."""
    read = _URL.fullmatch(said)
    if read is None:
        raise ConfigurationError(
            f"{said!r} is no address of a service; say http://host:port, and to name a model of it "
            "http://host:port/NAME or http://host:port/NAME:VERSION"
        )
    version = None if read["version"] is None else int(read["version"])
    return Contestant(title=said, url=read["url"], model=read["model"] or "", version=version, api_key=api_key)


def _found(said: str, repository: Path) -> Subject:
    (subject,) = find([said], repository)
    return subject


@contextmanager
def _served(subject: Subject, *, cores: int) -> Iterator[Contestant]:
    """A server of a repository that has this version of this model and nothing else."""
    flags = ("--no-grpc", *_precision(subject.classify), *(("--cores", str(cores)) if cores else ()))
    with TemporaryDirectory(prefix="topfive-gate-") as folder:
        repository = Path(folder)
        _write(subject, repository)
        with serve(repository, flags) as server:
            yield Contestant(
                title=subject.title,
                url=server.url,
                model=subject.folder.name,
                version=_version(subject.classify),
                pid=server.pid,
                repository=repository,
                flags=flags,
            )


def _precision(part: Part) -> Sequence[str]:
    """The flag by which the server takes the graph that was found, of two that lie side by side."""
    names = {part.config.filename, part.config.int8_filename}
    if "" in names or not all(part.path.with_name(name).is_file() for name in names):
        return ()
    return ("--precision", "int8" if part.path.name == part.config.int8_filename else "fp32")


def _version(part: Part) -> int:
    return int(part.path.parent.name)


def _write(subject: Subject, repository: Path) -> None:
    """Links to the files of `subject`, with configurations of their own in which every version is the only one.

    So a version is served that its `version_policy` does not let through, or that no step of an ensemble names.
    """
    called = subject.classify.path.parents[1]
    classify = _only(subject.classify.config.message)
    if (subject.classify.config.engine, subject.classify.config.precision) != engine_of(classify):
        _set_engine(classify, subject.classify)
    beside = subject.classify.config.int8_filename
    if beside and not subject.classify.path.with_name(beside).is_file():
        del classify.parameters[_INT8_FILENAME]  # another version has that graph
    _linked(called, repository, classify, version=_version(subject.classify))
    if subject.resize is not None:
        resize = subject.resize
        _linked(resize.path.parents[1], repository, _only(resize.config.message), version=_version(resize))
    if subject.folder.name != called.name:
        _linked(subject.folder, repository, _latest_steps(subject.folder / CONFIG, classify))


def _linked(model: Path, repository: Path, config: Any, *, version: int | None = None) -> None:
    """A folder with links to all that `model` holds, of its versions only `version` if one is said, and `config`."""
    copy = repository / model.name
    copy.mkdir()
    for path in sorted(model.resolve().iterdir()):
        another = version is not None and is_version(path.name) and path.name != str(version)
        if path.name != CONFIG and not another:
            (copy / path.name).symlink_to(path, target_is_directory=path.is_dir())
    (copy / CONFIG).write_text(text_format.MessageToString(config), encoding="utf-8")


def _only(message: Any) -> Any:
    """A copy of an `inference.ModelConfig` that serves the latest version, of which there is one."""
    config = type(message)()
    config.CopyFrom(message)
    config.ClearField("version_policy")
    return config


def _latest_steps(path: Path, like: Any) -> Any:
    """The configuration of an ensemble whose steps take the latest versions, of which there is one each."""
    config = text_format.Parse(path.read_text(encoding="utf-8"), type(like)())
    config.ClearField("version_policy")
    for step in config.ensemble_scheduling.step:
        step.model_version = -1
    return config


def _set_engine(config: Any, part: Part) -> None:
    accelerators = config.optimization.execution_accelerators.cpu_execution_accelerator
    del accelerators[:]
    if part.config.engine != "onnxruntime":
        accelerators.add(name=part.config.engine, parameters={"precision": part.config.precision})
