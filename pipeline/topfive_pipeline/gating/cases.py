"""Must-pass cases: files with what must be answered to them. A folder of them, `cases.yaml`, is read, asked and judged.

What does not live here: what an expectation means (`gating.expectations`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.labels import IMAGENET, read_labels
from topfive_pipeline.gating.answers import Answer
from topfive_pipeline.gating.client import BUSY, FILE, Client
from topfive_pipeline.gating.contestants import Contestant, Pair
from topfive_pipeline.gating.expectations import Expectation, seen
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.strict_yaml import Strict, read_yaml
from topfive_pipeline.judging.tables import Table

LISTING: Final = "cases.yaml"
_SHIPPED: Final = Path(__file__).parent / "shipped_cases"
_ADVICE: Final = "docs/gate.md shows how a case is written"
_PRINTABLE: Final = r"^[ -~]+$"
"""What a header can hold; a line break would end it."""
_OF_THE_GATE: Final = frozenset({"model", "version"})

Progress = Callable[[str], None]


class _Case(Strict):
    name: str = ""
    file: str
    media_type: str = Field(default=FILE, pattern=_PRINTABLE)
    query: dict[str, str | int | float] = Field(default_factory=dict)
    expect: Expectation


class _Cases(Strict):
    cases: list[_Case] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file, how it is sent, and what must be answered. `like`: the file whose answer this one's must be like."""

    name: str
    file: Path
    media_type: str
    query: Mapping[str, object]
    expect: Expectation
    like: Path | None


def read_cases(folder: Path) -> tuple[Case, ...]:
    """The cases of `folder`; raises `ConfigurationError` if it has none, or one of them cannot be used."""
    if not folder.is_dir():
        raise ConfigurationError(f"--cases {folder}: there is no such folder; it holds files and a {LISTING}")
    listing = folder / LISTING
    found = [_case(each, folder) for each in read_yaml(listing, _Cases, advice=_ADVICE).cases]
    names = [case.name for case in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{listing}: there are two cases '{name}'; give one of them another `name`")
    return tuple(found)


def shipped(*, imagenet: bool) -> tuple[Case, ...]:
    """The cases that come with topfive: those that hold for any model, and for models of `imagenet` theirs."""
    folders = ["any", "imagenet"] if imagenet else ["any"]
    return tuple(case for folder in folders for case in read_cases(_SHIPPED / folder))


def unlisted(folder: Path, cases: Sequence[Case]) -> list[str]:
    """Files of `folder` that no case names: each may be one that somebody forgot to write down."""
    named = {path.resolve() for case in cases for path in (case.file, case.like) if path is not None}
    there = (path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith("."))
    return [path.name for path in there if path.name != LISTING and path.resolve() not in named]


def knows_imagenet(contestant: Contestant) -> bool:
    """Whether the labels that are answered to a photo are those of ImageNet, at its indices."""
    names = read_labels(IMAGENET)
    (case,) = (each for each in read_cases(_SHIPPED / "imagenet") if each.name == "a cup of coffee")
    with Client(contestant) as client:
        predictions = client.classify(case.file.read_bytes()).predictions
    return bool(predictions) and all(
        each.index < len(names) and names[each.index] == each.label for each in predictions
    )


def chapter(pair: Pair, cases: Sequence[Case], progress: Progress, *, notes: Sequence[str] = ()) -> Chapter:
    """Ask both contestants all `cases`: the candidate must pass them; what the live version answers is told."""
    findings, told = [], []
    with Client(pair.candidate) as candidate, Client(pair.live) as live:
        for place, case in enumerate(cases, start=1):
            progress(f"case {place} of {len(cases)}")
            ours, theirs = _asked(case, candidate), _asked(case, live)
            findings.append(_finding(case, ours, theirs))
            told.append(_Told(case.name, ours[0], theirs[0], case.expect.top))
    passed = sum(finding.met is True for finding in findings)
    other = tuple(each.cells for each in told if each.differs)
    same = len(told) - len(other)
    return Chapter(
        key="cases",
        title="Must-pass cases",
        lead=f"{passed} of {len(cases)} are met by the candidate. Each is a file with what must be answered to it. "
        f"In {same} of them the live version answers with the same label, or refuses alike.",
        findings=tuple(findings),
        tables=(Table(("cases with another answer", "candidate", "live"), other),) if other else (),
        notes=tuple(notes),
        figures={
            "cases": [
                {"name": each.name, "candidate": each.cells[1], "live": each.cells[2], "met": finding.met}
                for each, finding in zip(told, findings, strict=True)
            ]
        },
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What both answered to a case."""

    name: str
    candidate: Answer
    live: Answer
    top: int

    @property
    def cells(self) -> tuple[str, str, str]:
        """For a table."""
        return self.name, seen(self.candidate, top=self.top), seen(self.live, top=self.top)

    @property
    def differs(self) -> bool:
        """Whether the first label, or the refusal, is another."""
        one, other = ((each.status, each.code, each.first and each.first.label) for each in (self.candidate, self.live))
        return one != other


def _case(read: _Case, folder: Path) -> Case:
    name = read.name or read.file
    where = f"{folder / LISTING}: case '{name}'"
    if ours := _OF_THE_GATE & read.query.keys():
        raise ConfigurationError(f"{where}: the gate itself says {' and '.join(sorted(ours))}; take it out of `query`")
    files = [folder / each for each in (read.file, read.expect.like) if each is not None]
    for file in files:
        if not file.is_file():
            raise ConfigurationError(f"{where}: there is no file {file}; add it, or correct its name")
    return Case(
        name=name,
        file=files[0],
        media_type=read.media_type,
        query=read.query,
        expect=read.expect,
        like=files[1] if read.expect.like is not None else None,
    )


def _asked(case: Case, client: Client) -> tuple[Answer, Answer | None]:
    """What is answered to the case's file, and to the one that it must be like."""
    answer = client.classify(case.file.read_bytes(), media_type=case.media_type, query=case.query)
    return answer, None if case.like is None else client.classify(case.like.read_bytes())


def _finding(case: Case, ours: tuple[Answer, Answer | None], theirs: tuple[Answer, Answer | None]) -> Finding:
    busy = BUSY in {each.status for each in ours if each is not None} and case.expect.status != BUSY
    met = None if busy else case.expect.is_met(*ours)
    before = case.expect.is_met(*theirs)
    note = "its server refused it as too busy" if busy else ""
    if met is False:
        note = f"the live version {'meets it' if before else 'misses it too'}: {seen(theirs[0], top=case.expect.top)}"
    found = seen(ours[0], top=case.expect.top)
    if met is False and ours[1] is not None:
        found += f"; to {case.expect.like}: {seen(ours[1])}"
    return Finding(name=f"case: {case.name}", seen=found, wanted=case.expect.words, met=met, note=note)
