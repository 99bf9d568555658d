"""What is being moved into place is not served by halves: no new preparing graph before an old classifier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.testkit.fakes import FakeClock
from tests.testkit.model_bench import ModelBench, until
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    classifier_graph,
    commented,
    crop_graph,
    write_model,
    write_tiny_repository,
    write_version,
)
from topfive.models.settling import Settling
from topfive.repository.reading import Repository

PAUSE = 0.5


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ModelBench]:
    """The tiny ensemble, polled, on a clock that moves by the test only."""
    bench = await ModelBench(write_tiny_repository(tmp_path), "poll", settle_seconds=PAUSE).start()
    yield bench
    await bench.close()


def new_crop(repository: Path, version: int = 2) -> None:
    write_version(repository, "crop", version, commented(crop_graph()))


def new_classifier(repository: Path, version: int = 2, prefix: str = "two") -> None:
    write_version(repository, "classify", version, classifier_graph(prefix=prefix))


def units(bench: ModelBench) -> list[str]:
    return sorted(f"{name}/{version}" for name, version in bench.live.units if name != "tiny")


async def pausing(bench: ModelBench) -> None:
    await until(lambda: bench.clock.armed)


async def test_a_poll_between_the_two_renames_of_a_new_version_serves_no_half_of_it(bench: ModelBench) -> None:
    new_crop(bench.repository)
    look = asyncio.create_task(bench.control.poll())
    await pausing(bench)
    new_classifier(bench.repository)
    bench.clock.advance(PAUSE)
    await pausing(bench)
    assert units(bench) == ["classify/1", "crop/1"], "the second look found other things than the first"
    bench.clock.advance(PAUSE)
    await look
    assert units(bench) == ["classify/2", "crop/2"]
    assert bench.factory.loaded in (["crop/2", "classify/2"], ["classify/2", "crop/2"])
    assert await bench.label(7) == "two 7"


async def test_a_look_that_the_renames_overtake_serves_no_half_either(
    bench: ModelBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classifier was read before it was renamed, the preparing graph after it."""
    read = Repository._model

    def overtaken(repository: Repository, folder: Path) -> Any:
        found = read(repository, folder)
        if folder.name == "classify" and not (folder / "2").exists():
            new_crop(bench.repository)
            new_classifier(bench.repository)
        return found

    monkeypatch.setattr(Repository, "_model", overtaken)
    look = asyncio.create_task(bench.control.poll())
    await pausing(bench)
    bench.clock.advance(PAUSE)
    await pausing(bench)
    assert units(bench) == ["classify/1", "crop/1"]
    bench.clock.advance(PAUSE)
    await look
    assert units(bench) == ["classify/2", "crop/2"]


async def test_what_stands_still_is_served_after_one_pause(bench: ModelBench) -> None:
    new_classifier(bench.repository)
    look = asyncio.create_task(bench.control.poll())
    await pausing(bench)
    assert bench.clock.armed == [bench.clock.time + PAUSE]
    bench.clock.advance(PAUSE)
    await look
    assert await bench.label(7) == "two 7"


async def test_a_look_at_what_has_not_changed_does_not_pause(bench: ModelBench) -> None:
    """Nor at a model that is as broken as before."""
    await bench.control.poll()
    write_version(bench.repository, "classify", 2, b"no graph")
    look = asyncio.create_task(bench.control.poll())
    await pausing(bench)
    bench.clock.advance(PAUSE)
    await look
    assert "cannot load" in bench.reason("classify")
    for _ in range(2):
        await bench.control.poll()
    assert bench.clock.armed == []


async def test_what_never_stands_still_holds_up_no_other_model(
    bench: ModelBench, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left to the next look, which finds it whole."""
    caplog.set_level("INFO", "topfive")
    write_model(bench.repository, "other", CLASSIFIER_CONFIG, classifier_graph(prefix="other"))
    look = asyncio.create_task(bench.control.poll())
    for turn in range(4):
        await pausing(bench)
        new_crop(bench.repository, 2 + turn)
        bench.clock.advance(PAUSE)
    await look
    assert await bench.label(7, "other") == "other 7"
    assert units(bench) == ["classify/1", "crop/1", "other/1"]
    assert "crop: still being written, so left to the next look" in caplog.text
    await bench.control.poll()
    assert units(bench) == ["classify/1", "crop/5", "other/1"]


async def test_a_start_in_the_midst_of_the_renames_serves_no_half(tmp_path: Path) -> None:
    """Models that were read before the second rename are not what the service becomes ready with."""
    write_tiny_repository(tmp_path)
    new_crop(tmp_path)
    half = read_repository(tmp_path)
    new_classifier(tmp_path)
    bench = ModelBench(tmp_path, "poll", settle_seconds=PAUSE)
    start = asyncio.create_task(bench.control.start(bench.loader, half))
    await until(lambda: bench.live.current is not None)
    assert not bench.lifecycle.ready
    await pausing(bench)
    bench.clock.advance(PAUSE)
    await start
    assert units(bench) == ["classify/2", "crop/2"]
    await bench.close()


@pytest.mark.parametrize(
    ("change", "moving"),
    [
        (lambda folder: None, set()),
        (lambda folder: new_classifier(folder, 3), {"classify"}),
        (lambda folder: write_model(folder, "new", "max_batch_size: many"), {"new"}),
    ],
)
async def test_what_the_last_two_looks_did_not_find_alike_is_named(
    tmp_path: Path, change: Callable[[Path], object], moving: set[str]
) -> None:
    stored = read_repository(write_tiny_repository(tmp_path))
    clock, looks = FakeClock(), 0

    class Watched(Repository):
        def survey(self, **named: Any) -> Any:
            nonlocal looks
            looks += 1
            if looks == 5:
                change(tmp_path)
            elif moving:
                new_classifier(tmp_path, 2, prefix=f"look {looks}")
            return super().survey(**named)

    new_classifier(tmp_path)
    found, differing = await Settling(Watched(tmp_path), clock=clock, seconds=0).survey(stored)
    assert looks == (5 if moving else 2)
    assert moving <= differing <= {*moving, "classify"}
    assert set(found) >= {"classify", "crop", "tiny"}
