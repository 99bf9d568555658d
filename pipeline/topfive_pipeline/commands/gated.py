"""What `topfive gate` shows and records: what is missed or unknown, chapter by chapter, and the sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from topfive_pipeline.commands.screen import Screen
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.experiments import figures
from topfive_pipeline.experiments.runs import DATA_FOLDER, GRAPHS, REFUSED, RESIZE_GRAPH, Run, without_folders
from topfive_pipeline.gating.contestants import Contestant, Pair
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.gate import Gated
from topfive_pipeline.gating.reports import texts
from topfive_pipeline.gating.starting import Competing
from topfive_pipeline.gating.telling import MARKS, in_order, left_out
from topfive_pipeline.judging.subjects import Subject
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
    said = f"{met} of {len(chapter.findings)} met" if chapter.findings else "nothing that must hold"
    return f"{escape(chapter.title)}: {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A gate that was held: who competed, on which photos, and what was asked for. `report`: None if none is kept."""

    told: Gated
    pair: Pair
    both: Competing
    photos: Sequence[Photo]
    params: Mapping[str, object]
    report: Path | None


def of_gate(held: Held) -> Run:
    """The run of a gate, which names no folder and no host."""
    pair, told = held.pair, held.told
    names = {each: _name(each) for each in (pair.candidate, pair.live)}
    kept = {name: text for name, text in texts(told).items() if held.report is not None or name != "gate.html"}
    tags = {"compared.with": names[pair.live]}
    if isinstance(subject := held.both.candidate, Subject):
        tags[GRAPHS] = sha256(subject.classify.path)
        if subject.resize is not None:
            tags[RESIZE_GRAPH] = sha256(subject.resize.path)
    if held.photos:
        tags |= figures.of_photos(held.photos) | {DATA_FOLDER: held.photos[0].path.parent.name}
    if told.verdict != "yes":
        tags[REFUSED] = _clean(told.sentence, names)
    return Run(
        model=names[pair.candidate],
        params={**held.params, "against": names[pair.live], "verdict": told.verdict},
        metrics=dict(_metrics(told)),
        tags=tags,
        texts={name: _clean(text, names) for name, text in kept.items()},
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
    for chapter in told.chapters:
        recorded = chapter.figures.get("metrics")
        yield from recorded.items() if isinstance(recorded, Mapping) else ()
