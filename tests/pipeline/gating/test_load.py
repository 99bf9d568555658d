"""Both contestants under real loads, very short ones, on one real server; and what the chapters make of it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pipeline.gating import loads
from tests.testkit.serving_process import serving
from topfive_pipeline.gating import load, start_up
from topfive_pipeline.gating.contestants import Contestant, Pair
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.load_plan import LoadPlan
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.served import Served
from topfive_pipeline.under_load import mixes
from topfive_pipeline.under_load.objectives import Objectives

FLAGS = ("--no-grpc",)
SLO = Objectives.model_validate(
    {
        "closed": [{"mix": "random", "workers": 2, "p50_ms": 60_000, "min_throughput": 0.01}],
        "open": [{"mix": "random", "rate": 40, "p50_ms": 60_000}],
        "memory": {"max_resident_mb": 1_000_000},
    }
)


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> tuple[Photo, ...]:
    """A photo that the tiny model has a label for."""
    path = tmp_path_factory.mktemp("dark") / "dark.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 100, (60, 80, 3), np.uint8)).save(path)
    return (Photo(path),)


@pytest.fixture(scope="module")
def plan(dark: tuple[Photo, ...]) -> LoadPlan:
    return LoadPlan(photos=dark, workers={"random": (1, 2)}, rounds=2, seconds=0.1, starts=1, objectives=SLO)


@pytest.fixture(scope="module")
def pair(tiny_repository: Path) -> Iterator[Pair]:
    """The same version twice, at one server."""
    with serving("--model-repository", str(tiny_repository), *FLAGS) as service:
        one = Contestant(
            title="tiny:1",
            url=f"http://127.0.0.1:{service.port}",
            model="tiny",
            repository=tiny_repository,
            flags=FLAGS,
        )
        yield Pair(one, replace(one, title="tiny:live"))


@pytest.fixture(scope="module")
def chapters(pair: Pair, plan: LoadPlan) -> tuple[dict[str, Chapter], list[str]]:
    """All that a gate finds, and what it said meanwhile."""

    @contextmanager
    def warm(repository: Path, flags: Sequence[str]) -> Iterator[Served]:
        with serving("--model-repository", str(repository), *flags) as service:
            yield Served(service.port)

    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start_up, "serve", warm)
        patch.setattr(mixes, "PHOTOS", 2)
        found = load.chapters(pair, plan, said.append)
    return {chapter.key: chapter for chapter in found}, said


def test_there_is_a_chapter_for_each_mix_and_for_memory_and_start_up(
    chapters: tuple[dict[str, Chapter], list[str]],
) -> None:
    found, _ = chapters
    assert list(found) == ["load-random", "memory", "start-up"]
    assert all(chapter.findings and chapter.tables and chapter.lead for chapter in found.values())


def test_every_load_is_announced_with_what_is_left(chapters: tuple[dict[str, Chapter], list[str]]) -> None:
    _, said = chapters
    loads = [line for line in said if line.startswith("load: round")]
    assert len(loads) == 2 * 2 * 4  # rounds, versions, and cells: two closed, one open, one of an objective
    assert re.fullmatch(r"load: round 1 of 2, about \d+ s left: random × 1, the candidate version", loads[0])
    assert "random × 1, the live version" in loads[8]  # who begins changes


def test_objectives_that_are_held_easily_are_met(chapters: tuple[dict[str, Chapter], list[str]]) -> None:
    findings = {each.name: each for each in chapters[0]["load-random"].findings}
    for name in ("random × 2: throughput", "random × 2: error ratio", "random at 40/s: error ratio"):
        assert findings[name].met is True, findings[name]
    assert findings["the servers stay up under load"].met is True
    assert findings["random: error ratio beside live"].met is True
    assert {each.name for each in chapters[0]["memory"].findings} == {
        *("peak memory", "peak memory beside live", "memory growth"),
    }


def test_what_was_measured_is_in_the_figures(chapters: tuple[dict[str, Chapter], list[str]]) -> None:
    figures = chapters[0]["load-random"].figures
    assert list(figures) == ["random-1", "random-2", "random-open", "random-at-40"]
    cell = figures["random-2"]
    assert isinstance(cell, dict)
    assert cell["candidate"]["answers"] > 0
    assert cell["candidate"]["p50"] > 0
    assert cell["candidate"]["failures"] == {}
    memory = chapters[0]["memory"].figures["live"]
    assert isinstance(memory, dict)
    assert memory["peak_mb"] > 10
    taken = chapters[0]["start-up"].figures["candidate"]
    assert isinstance(taken, list)
    assert len(taken) == 1


def test_plots_show_both_by_workers_and_over_time(chapters: tuple[dict[str, Chapter], list[str]]) -> None:
    for key in ("load-random", "memory"):
        (plot,) = chapters[0][key].plots
        assert plot.svg.startswith(f'<svg role="img" aria-label="{key}"')
        assert "var(--soft)" in plot.svg  # follows the page's dark mode
        assert plot.caption


def test_a_generator_beside_the_servers_is_told(chapters: tuple[dict[str, Chapter], list[str]]) -> None:
    (note,) = [note for note in chapters[0]["load-random"].notes if "on the machine of the servers" in note]
    assert "tiny:1 and tiny:live" in note


def test_a_candidate_that_nobody_serves_is_missed_and_not_an_exception(pair: Pair, plan: LoadPlan) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gone = replace(pair.candidate, url=f"http://127.0.0.1:{port}", repository=None)
    found = {each.key: each for each in load.chapters(Pair(gone, pair.live), plan, lambda _: None)}
    findings = {each.name: each for each in found["load-random"].findings}
    assert findings["the servers stay up under load"].met is False
    assert "accepts no connection" in findings["the servers stay up under load"].seen
    assert {each.met for name, each in findings.items() if name != "the servers stay up under load"} == {None}
    assert found["start-up"].notes == ("Not measured: a service that runs already cannot be started here.",)
    assert found["start-up"].findings == ()


def test_loads_of_a_doubtful_generator_are_counted_in_a_note(pair: Pair) -> None:
    late = loads.load(0.05, fault="the generator fell behind")
    found = load.chapter(pair, loads.measured([late, loads.load(0.05)], [loads.load(0.05)] * 2), "random")
    (note,) = [note for note in found.notes if "may have been the limit" in note]
    assert note.startswith(
        "random × 8: the generator may have been the limit in 1 of 4 loads (the generator fell behind)"
    )


def test_batches_of_another_size_are_noted_for_noise_at_a_start_may_be_why() -> None:
    one = Contestant(title="tiny:1", url="http://far.example:1", model="tiny")
    found = loads.measured([each := loads.load(0.05), each], [each, each])
    notes = {}
    for its in ("2", "8"):
        found.batches.update({"candidate": "2", "live": its})
        notes[its] = " ".join(load.chapter(Pair(one, one), found, "random").notes)
    assert "at most 2 images at once, the live version 8: each server measures at its start" in notes["8"]
    assert "images at once" not in notes["2"]
