"""What `topfive gate` shows and records: what is missed or unknown, chapter by chapter, and the sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.markup import escape

from topfive_pipeline.commands.screen import Screen
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.experiments import figures
from topfive_pipeline.experiments.runs import DATA_FOLDER, GRAPHS, REFUSED, RESIZE_GRAPH, Run, without_folders
from topfive_pipeline.gating.contestants import Contestant
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.gate import Gated
from topfive_pipeline.gating.reports import texts
from topfive_pipeline.gating.starting import Started
from topfive_pipeline.gating.telling import MARKS, in_order, left_out
from topfive_pipeline.proof.photos import Photo

_COLOURS = {True: "green", False: "red", None: "yellow"}


def show(told: Gated, screen: Screen) -> None:
    """On the terminal; the sentence is the last line, where people look."""
    screen.say(f"[bold]{escape(told.candidate)}[/] against [bold]{escape(told.live)}[/]\n")
    for chapter in told.chapters:
        screen.say(_line(chapter))
        missed, unknown, _ = in_order(chapter.findings)
        for finding in (*missed, *unknown):
            mark = f"[{_COLOURS[finding.met]}]{MARKS[finding.met]}[/]"
            screen.say(f"  {mark}  {escape(f'{finding.name}: {finding.seen}; wanted {finding.wanted}')}")
            for more in filter(None, [finding.note, *finding.reasons]):
                screen.say(f"             [dim]{escape(more)}[/]")
        for note in chapter.notes:
            screen.say(f"  [dim]{escape(note)}[/]")
    if said := left_out(told):
        screen.say(f"\n[dim]{escape(said)}[/]")
    screen.say(f"\n[bold]{escape(told.sentence)}[/]")


def _line(chapter: Chapter) -> str:
    met = sum(finding.met is True for finding in chapter.findings)
    return f"{escape(chapter.title)}: {met} of {len(chapter.findings)} met"


def of_gate(
    told: Gated, started: Started, photos: Sequence[Photo], params: Mapping[str, object], report: Path | None
) -> Run:
    """The run of a gate, which names no folder and no host."""
    names = {each: _name(each) for each in (started.pair.candidate, started.pair.live)}
    written = {
        name: _clean(text, names) for name, text in texts(told).items() if report is not None or name != "gate.html"
    }
    subject, _ = started.found
    tags = {"compared.with": names[started.pair.live]}
    if subject is not None:
        tags[GRAPHS] = sha256(subject.classify.path)
        if subject.resize is not None:
            tags[RESIZE_GRAPH] = sha256(subject.resize.path)
    if photos:
        tags |= figures.of_photos(photos) | {DATA_FOLDER: photos[0].path.parent.name}
    if told.verdict != "yes":
        tags[REFUSED] = _clean(told.sentence, names)
    return Run(
        model=names[started.pair.candidate],
        params={**params, "against": names[started.pair.live], "verdict": told.verdict},
        metrics=dict(_metrics(told)),
        tags=tags,
        texts=written,
    )


def _name(contestant: Contestant) -> str:
    """How a record calls it: of a running service only the model and the version."""
    at_url = contestant.repository is None
    return f"{contestant.model}:{contestant.version}" if at_url else without_folders(contestant.title)


def _clean(text: str, names: Mapping[Contestant, str]) -> str:
    """`text` without the folders and the addresses of contestants."""
    for contestant, name in names.items():
        for said in (contestant.title, contestant.url, str(contestant.repository or "")):
            text = text.replace(said, name) if said else text
    return text


def _metrics(told: Gated) -> Iterator[tuple[str, float]]:
    findings = told.findings
    yield "met", float(sum(finding.met is True for finding in findings))
    yield "missed", float(sum(finding.met is False for finding in findings))
    yield "unknown", float(sum(finding.met is None for finding in findings))
    yield "gate_s", told.seconds
