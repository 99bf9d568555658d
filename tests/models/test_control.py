"""Models are loaded and unloaded by request, or by looking at the repository; what fails says why and harms nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest

from tests.testkit.fakes import Inside, settle
from tests.testkit.model_bench import ModelBench, labels, until
from tests.testkit.serving_process import RAW, HeldRequest, ServingProcess, ask, classify_path, serving
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    IMAGE,
    OUTPUTS,
    PIXELS,
    classifier_graph,
    config,
    crop_graph,
    ensemble_config,
    write_model,
    write_tiny_repository,
    write_version,
)
from topfive.ground.errors import ConfigurationError, NotReady, UnknownModel, Unsupported
from topfive.ground.lifecycle import State
from topfive.models.control import Mode, ModelControl
from topfive.models.index import IndexEntry, ModelState
from topfive.repository.reading import Repository

READY, UNAVAILABLE = ModelState.READY, ModelState.UNAVAILABLE


async def started(repository: Path, mode: Mode) -> ModelBench:
    return await ModelBench(write_tiny_repository(repository), mode).start()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ModelBench]:
    """The tiny ensemble, whose models change by request."""
    bench = await started(tmp_path, "explicit")
    yield bench
    await bench.close()


@pytest.fixture
async def polled(tmp_path: Path) -> AsyncIterator[ModelBench]:
    """The tiny ensemble, whose repository is looked at whenever the test says so."""
    bench = await started(tmp_path, "poll")
    yield bench
    await bench.close()


def second_version(bench: ModelBench, prefix: str = "two") -> None:
    write_version(bench.repository, "classify", 2, classifier_graph(prefix=prefix))


# By request


async def test_a_load_serves_what_lies_in_the_repository_now(bench: ModelBench) -> None:
    second_version(bench)
    assert await bench.label(7) == "value 7"
    await bench.control.load("classify")
    assert await bench.label(7) == "two 7"
    assert bench.models.find("classify").version == 2
    await bench.retired()
    assert bench.entries() == [
        IndexEntry("classify", "2", READY, ""),
        IndexEntry("crop", "1", READY, ""),
        IndexEntry("tiny", "2", READY, ""),
    ]


async def test_a_load_of_an_ensemble_loads_its_steps_too(bench: ModelBench) -> None:
    second_version(bench)
    await bench.control.load("tiny")
    assert await bench.label(7) == "two 7"


async def test_a_load_of_a_step_leaves_the_other_as_it_was(bench: ModelBench) -> None:
    second_version(bench)
    write_version(bench.repository, "crop", 2, crop_graph())
    await bench.control.load("crop")
    assert bench.factory.loaded == ["crop/2"]
    assert await bench.label(7) == "value 7"


async def test_a_load_of_what_is_unchanged_is_a_success(bench: ModelBench) -> None:
    before = bench.models
    for name in ("tiny", "classify", "crop"):
        await bench.control.load(name)
    assert bench.models is before
    assert bench.factory.loaded == []


async def test_a_model_that_is_new_is_served_from_its_load_on(bench: ModelBench) -> None:
    write_model(bench.repository, "other", CLASSIFIER_CONFIG, classifier_graph(prefix="other"))
    assert bench.index("other") == []
    await bench.control.load("other")
    assert await bench.label(3, "other") == "other 3"
    assert bench.index("other") == [("1", "READY")]


async def test_loads_are_made_one_after_the_other(bench: ModelBench) -> None:
    """All of them, whatever else is loaded meanwhile."""
    for name in ("one", "two", "three"):
        write_model(bench.repository, name, CLASSIFIER_CONFIG, classifier_graph(prefix=name))
    bench.factory.gate.clear()
    loads = [asyncio.create_task(bench.control.load(name)) for name in ("one", "two", "three")]
    await until(lambda: bench.factory.loaded)
    bench.factory.gate.set()
    await asyncio.gather(*loads)
    assert bench.factory.most_at_once == 1
    assert [await bench.label(1, name) for name in ("one", "two", "three")] == ["one 1", "two 1", "three 1"]


async def test_requests_are_answered_while_a_model_is_loaded(bench: ModelBench) -> None:
    """By what was served before; the index says what is going on."""
    second_version(bench)
    bench.factory.gate.clear()
    load = asyncio.create_task(bench.control.load("classify"))
    await until(lambda: bench.factory.loaded)
    assert await bench.label(7) == "value 7"
    assert bench.index("classify") == [("1", "READY"), ("2", "LOADING")]
    bench.factory.gate.set()
    await load
    await bench.retired()
    assert bench.index("classify") == [("2", "READY")]


async def test_a_version_on_its_way_out_is_in_the_index_but_not_ready(bench: ModelBench) -> None:
    second_version(bench)
    old = bench.models.find()
    with Inside(old.batcher):
        await bench.control.load("classify")
        assert bench.index("classify") == [("1", "UNLOADING"), ("2", "READY")]
        assert [entry.version for entry in bench.entries(ready=True) if entry.name == "classify"] == ["2"]
    await bench.retired()
    assert bench.index("classify") == [("2", "READY")]


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", ["3"]),
        ("version_policy { latest { num_versions: 2 } }", ["2", "3"]),
        ("version_policy { specific { versions: [ 1, 3 ] } }", ["1", "3"]),
        ("version_policy { all { } }", ["1", "2", "3"]),
    ],
)
async def test_a_load_serves_the_versions_of_the_policy(bench: ModelBench, policy: str, served: list[str]) -> None:
    """By the ensemble the highest of them; of those that went, nothing is left."""
    for version in (2, 3):
        write_version(bench.repository, "classify", version, classifier_graph(prefix=f"v{version}"))
    write_model(bench.repository, "classify", CLASSIFIER_CONFIG + policy)
    await bench.control.load("classify")
    await bench.retired()
    assert bench.index("classify") == [(version, "READY") for version in served]
    assert await bench.label(8) == "v3 8"


# What fails


def broken_graph(folder: Path) -> None:
    write_version(folder.parent, "classify", 2, b"no graph")


def missing_graph(folder: Path) -> None:
    (folder / "2").mkdir()


def broken_configuration(folder: Path) -> None:
    (folder / "config.pbtxt").write_text("max_batch_size: many", encoding="utf-8")


def missing_configuration(folder: Path) -> None:
    (folder / "config.pbtxt").unlink()


def graph_of_another_interface(folder: Path) -> None:
    write_version(folder.parent, "classify", 2, crop_graph())


def configuration_of_another_size(folder: Path) -> None:
    """It fits its graph no more, nor the step before it."""
    larger = ("pixels", PIXELS[1], (-1, 9, 9, 3))
    (folder / "config.pbtxt").write_text(config([larger], OUTPUTS), encoding="utf-8")


Breakage = Callable[[Path], None]
BREAKAGES: list[Breakage] = [
    broken_graph,
    missing_graph,
    broken_configuration,
    graph_of_another_interface,
    configuration_of_another_size,
]


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_a_broken_model_leaves_the_old_one_serving_and_says_why(bench: ModelBench, breakage: Breakage) -> None:
    """Once it is repaired it is served, and the reason is gone."""
    kept = bench.repository.parent / "kept"
    shutil.copytree(bench.repository / "classify", kept)
    breakage(bench.repository / "classify")
    with pytest.raises(ConfigurationError) as caught:
        await bench.control.load("classify")
    assert ("1", "READY") in bench.index("classify")
    assert bench.reason("classify") == str(caught.value)
    assert [entry.reason for entry in bench.entries() if entry.name != "classify"] == ["", ""]
    assert await bench.label(7) == await bench.label(7, "classify") == "value 7"
    shutil.rmtree(bench.repository / "classify")
    kept.rename(bench.repository / "classify")
    second_version(bench)
    await bench.control.load("classify")
    await bench.retired()
    assert await bench.label(7) == "two 7"
    assert bench.reason("classify") == ""


async def test_a_version_that_cannot_be_loaded_is_unavailable(bench: ModelBench) -> None:
    write_version(bench.repository, "classify", 2, b"no graph")
    with pytest.raises(ConfigurationError):
        await bench.control.load("classify")
    assert bench.index("classify") == [("1", "READY"), ("2", "UNAVAILABLE")]


@pytest.mark.parametrize("text", ["max_batch_size: many", CLASSIFIER_CONFIG])
async def test_a_new_model_that_cannot_be_loaded_is_in_the_index(bench: ModelBench, text: str) -> None:
    write_model(bench.repository, "new", text, b"no graph")
    with pytest.raises(ConfigurationError):
        await bench.control.load("new")
    assert bench.index("new") == [("1" if text == CLASSIFIER_CONFIG else "", "UNAVAILABLE")]
    assert str(bench.repository / "new") in bench.reason("new")
    with pytest.raises(UnknownModel):
        bench.models.find("new")


async def test_a_load_that_failed_is_tried_again_when_asked_again(bench: ModelBench) -> None:
    """What was at fault may have lain outside its files: the memory, say."""
    write_version(bench.repository, "classify", 2, b"no graph")
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            await bench.control.load("classify")
    assert bench.factory.loaded == ["classify/2"] * 2


@pytest.mark.parametrize("name", ["nobody", "", ".", "..", "../tiny", "crop/1", "tiny/../crop", "notes", ".new", "\0"])
async def test_a_load_of_what_is_no_model_of_the_repository_is_refused(bench: ModelBench, name: str) -> None:
    """No name leads out of it."""
    (bench.repository / "notes").mkdir()
    write_model(bench.repository, ".new", CLASSIFIER_CONFIG, classifier_graph())
    with pytest.raises(UnknownModel):
        await bench.control.load(name)


async def test_a_step_that_no_ensemble_has_cannot_be_loaded_alone(bench: ModelBench) -> None:
    """But with its ensemble it can."""
    write_model(bench.repository, "crop2", CROP_CONFIG, crop_graph())
    with pytest.raises(ConfigurationError, match="neither a classifier nor a step"):
        await bench.control.load("crop2")
    write_model(bench.repository, "tiny2", ensemble_config(first="crop2"))
    await bench.control.load("tiny2")
    assert await bench.label(6, "tiny2") == "value 6"
    assert bench.index("crop2") == [("1", "READY")]


# Unloading


async def test_an_unloaded_model_is_not_found_any_more_and_a_load_brings_it_back(bench: ModelBench) -> None:
    """Its step that does nothing by itself goes and comes with it."""
    await bench.control.unload("tiny")
    assert [model.name for model in bench.models] == ["classify"]
    for name in ("tiny", "crop"):
        with pytest.raises(UnknownModel):
            bench.models.find(name)
        assert (bench.index(name), bench.reason(name)) == ([("1", "UNAVAILABLE")], "unloaded")
    await bench.control.load("tiny")
    assert await bench.label(7) == "value 7"
    assert bench.factory.loaded == ["crop/1"]
    assert {entry.state for entry in bench.entries()} == {READY}


async def test_who_found_a_model_before_its_unloading_is_answered(bench: ModelBench) -> None:
    model = bench.models.find()
    with Inside(model.batcher):
        await bench.control.unload("tiny", unload_dependents=True)
        assert await labels(model, 1, 2) == ["value 1", "value 2"]
    await bench.retired()


async def test_a_step_is_not_unloaded_while_its_ensemble_is_served(bench: ModelBench) -> None:
    """Which would leave a model that fails on every request."""
    for step in ("crop", "classify"):
        with pytest.raises(Unsupported, match=f"'{step}' is a step of the ensemble 'tiny'"):
            await bench.control.unload(step)
    assert await bench.label(7) == "value 7"
    await bench.control.unload("tiny")
    await bench.control.unload("classify")
    assert list(bench.models) == []


async def test_dependents_leave_with_their_ensemble_unless_another_needs_them(bench: ModelBench) -> None:
    write_model(bench.repository, "crop2", CROP_CONFIG, crop_graph())
    write_model(bench.repository, "tiny2", ensemble_config(first="crop2"))
    await bench.control.load("tiny2")
    await bench.control.unload("tiny2", unload_dependents=True)
    assert [entry.name for entry in bench.entries(ready=True)] == ["classify", "crop", "tiny"]
    await bench.control.unload("tiny", unload_dependents=True)
    assert bench.entries(ready=True) == []
    await bench.retired()
    assert {entry.reason for entry in bench.entries()} == {"unloaded"}
    await bench.control.load("tiny")
    assert await bench.label(7) == "value 7"


async def test_a_second_unloading_changes_nothing(bench: ModelBench) -> None:
    await bench.control.unload("tiny")
    before = bench.models
    await bench.control.unload("tiny")
    assert bench.models is before


async def test_what_is_not_known_cannot_be_unloaded(bench: ModelBench) -> None:
    with pytest.raises(UnknownModel, match="'nobody'"):
        await bench.control.unload("nobody")


# Who may


@pytest.mark.parametrize("mode", ["none", "poll"])
async def test_only_the_explicit_mode_takes_requests(tmp_path: Path, mode: Mode) -> None:
    """The message names the setting; the index is for everybody."""
    bench = await started(tmp_path, mode)
    for request in (bench.control.load("tiny"), bench.control.unload("tiny")):
        with pytest.raises(Unsupported, match=f"model_control is '{mode}'.*TOPFIVE_MODEL_CONTROL=explicit"):
            await request
    assert [entry.name for entry in bench.entries(ready=True)] == ["classify", "crop", "tiny"]
    await bench.close()


def test_nothing_is_changed_or_listed_before_the_first_models_are_served(tmp_path: Path) -> None:
    async def try_everything() -> None:
        control: ModelControl = ModelBench(tmp_path).control
        for request in (control.load("tiny"), control.unload("tiny")):
            with pytest.raises(NotReady, match="starting"):
                await request
        with pytest.raises(NotReady, match="starting"):
            control.index()

    asyncio.run(try_everything())


@pytest.mark.parametrize("state", [State.DRAINING, State.FAILED])
async def test_a_service_that_is_about_to_end_changes_nothing(bench: ModelBench, state: State) -> None:
    """Nor does a request that waited for its turn until then."""
    second_version(bench)
    bench.factory.gate.clear()
    requests = [asyncio.create_task(bench.control.load("classify")) for _ in range(2)]
    requests.append(asyncio.create_task(bench.control.unload("tiny")))
    await until(lambda: bench.factory.loaded)
    bench.lifecycle.enter(state)
    requests.append(asyncio.create_task(bench.control.load("classify")))
    bench.factory.gate.set()
    for request in requests:
        with pytest.raises(NotReady):
            await request
    assert bench.factory.loaded == ["classify/2"]
    assert await bench.label(7) == "value 7"


# By looking at the repository


async def test_a_look_serves_what_is_new_and_drops_what_is_gone(polled: ModelBench) -> None:
    second_version(polled)
    write_model(polled.repository, "other", CLASSIFIER_CONFIG, classifier_graph(prefix="other"))
    await polled.control.poll()
    assert [await polled.label(5, name) for name in ("tiny", "other")] == ["two 5", "other 5"]
    for name in ("tiny", "crop"):
        shutil.rmtree(polled.repository / name)
    await polled.control.poll()
    await polled.retired()
    assert [(entry.name, entry.version) for entry in polled.entries()] == [("classify", "2"), ("other", "1")]


async def test_a_look_at_what_has_not_changed_does_nothing(polled: ModelBench) -> None:
    before = polled.models
    await polled.control.poll()
    assert polled.models is before
    assert polled.factory.loaded == []


async def test_the_repository_is_looked_at_again_and_again(polled: ModelBench) -> None:
    """Also after a look that failed, whatever it was."""
    polling = asyncio.create_task(polled.control.keep_polling(polled.clock, 15.0))
    await settle()
    for version in (2, 3):
        write_version(polled.repository, "classify", version, classifier_graph(prefix=f"v{version}"))
        polled.clock.advance(14.9)
        await settle()
        assert polled.factory.loaded == [f"classify/{done}" for done in range(2, version)]
        polled.clock.advance(0.2)
        await until(lambda version=version: ("classify", version) in polled.live.units)
        await until(lambda: polled.clock.armed)
    polling.cancel()
    await asyncio.wait([polling])
    assert polled.clock.armed == []


async def test_a_look_that_breaks_is_logged_and_not_the_last(
    polled: ModelBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    polling = asyncio.create_task(polled.control.keep_polling(polled.clock, 15.0))
    await settle()
    with monkeypatch.context() as broken:
        broken.setattr(Repository, "survey", defect)
        polled.clock.advance(15.0)
        await until(lambda: "a defect" in caplog.text and polled.clock.armed)
    second_version(polled)
    polled.clock.advance(15.0)
    await until(lambda: ("classify", 2) in polled.live.units)
    polling.cancel()


async def test_a_service_that_is_about_to_end_looks_no_more(polled: ModelBench) -> None:
    second_version(polled)
    polled.lifecycle.enter(State.DRAINING)
    await polled.control.poll()
    assert polled.factory.loaded == []


async def test_a_look_that_the_end_overtakes_is_the_last(polled: ModelBench, caplog: pytest.LogCaptureFixture) -> None:
    """It changes nothing, and is no failure."""
    polling = asyncio.create_task(polled.control.keep_polling(polled.clock, 15.0))
    await settle()
    second_version(polled)
    polled.factory.gate.clear()
    polled.clock.advance(15.0)
    await until(lambda: polled.factory.loaded)
    polled.lifecycle.enter(State.DRAINING)
    polled.factory.gate.set()
    await polling
    assert await polled.label(7) == "value 7"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("breakage", [*BREAKAGES, missing_configuration])
async def test_a_look_at_a_broken_model_leaves_the_old_one_and_says_why_once(
    polled: ModelBench,
    breakage: Breakage,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As long as it stays the same, it is neither loaded nor logged again."""
    breakage(polled.repository / "classify")
    await polled.control.poll()
    reason, loaded, logged = polled.reason("classify"), list(polled.factory.loaded), len(caplog.records)
    assert str(polled.repository) in reason
    for _ in range(2):
        await polled.control.poll()
    assert (polled.reason("classify"), polled.factory.loaded, len(caplog.records)) == (reason, loaded, logged)
    assert sum(reason in record.message for record in caplog.records) == 1
    assert await polled.label(7) == "value 7"


async def test_a_version_that_is_still_being_written_is_served_once_it_is_whole(polled: ModelBench) -> None:
    graph = classifier_graph(prefix="two")
    folder = polled.repository / "classify" / "2"
    folder.mkdir()
    await polled.control.poll()
    for part in (1, len(graph) // 2):
        (folder / "model.onnx").write_bytes(graph[:part])
        await polled.control.poll()
        assert await polled.label(7) == "value 7"
        assert polled.index("classify") == [("1", "READY"), ("2", "UNAVAILABLE")]
    (folder / "model.onnx").write_bytes(graph)
    await polled.control.poll()
    await polled.retired()
    assert await polled.label(7) == "two 7"
    assert polled.reason("classify") == ""


async def test_what_is_put_back_as_it_was_is_no_longer_wrong(polled: ModelBench) -> None:
    broken_configuration(polled.repository / "classify")
    await polled.control.poll()
    assert polled.reason("classify") != ""
    write_model(polled.repository, "classify", CLASSIFIER_CONFIG)
    await polled.control.poll()
    assert polled.reason("classify") == ""
    assert polled.factory.loaded == []


async def test_one_broken_model_does_not_hold_up_another(polled: ModelBench) -> None:
    write_model(polled.repository, "broken", CLASSIFIER_CONFIG, b"no graph")
    write_model(polled.repository, "unreadable", "max_batch_size: many")
    write_model(polled.repository, "whole", CLASSIFIER_CONFIG, classifier_graph(prefix="whole"))
    second_version(polled)
    await polled.control.poll()
    assert [await polled.label(1, name) for name in ("tiny", "whole")] == ["two 1", "whole 1"]
    assert (polled.index("broken"), polled.index("unreadable")) == ([("1", "UNAVAILABLE")], [("", "UNAVAILABLE")])
    for name in ("broken", "unreadable"):
        shutil.rmtree(polled.repository / name)
    await polled.control.poll()
    assert polled.index("broken") == polled.index("unreadable") == []


async def test_the_steps_of_an_ensemble_change_together(polled: ModelBench) -> None:
    """To a new size of crop, which neither could alone; and if one is broken, not the other either."""
    larger = ("pixels", PIXELS[1], (-1, 3, 3, 3))
    write_model(polled.repository, "crop", config([IMAGE], [larger]))
    write_version(polled.repository, "crop", 2, crop_graph(pixels=larger))
    write_model(polled.repository, "classify", config([larger], OUTPUTS, "dynamic_batching { }"))
    write_version(polled.repository, "classify", 2, b"no graph")
    await polled.control.poll()
    assert await polled.label(7) == "value 7"
    for name in ("crop", "classify"):
        assert "classify/2" in polled.reason(name)
        assert polled.index(name) == [("1", "READY"), ("2", "UNAVAILABLE")]
    write_version(polled.repository, "classify", 2, classifier_graph(larger, prefix="two"))
    await polled.control.poll()
    model = polled.models.find()
    assert model.per_image is not None
    assert model.per_image(np.zeros((1, 5, 5, 3), np.uint8)).shape == (1, 3, 3, 3)
    assert model.batched is polled.models.find("classify", 2)


async def test_a_step_that_is_gone_stays_as_long_as_its_ensemble_needs_it(polled: ModelBench) -> None:
    kept = polled.repository.parent / "kept"
    (polled.repository / "classify").rename(kept)
    for _ in range(2):
        await polled.control.poll()
        assert await polled.label(7) == "value 7"
        assert "its step 'classify' is not there" in polled.reason("classify")
    shutil.rmtree(polled.repository / "tiny")
    write_model(polled.repository, "other", CLASSIFIER_CONFIG, classifier_graph())
    await polled.control.poll()
    assert [model.name for model in polled.models] == ["other"]
    await polled.control.poll()
    assert "neither a classifier nor a step" in polled.reason("crop")


@pytest.mark.parametrize("mishap", ["gone", "empty", "a file"])
async def test_a_repository_that_seems_to_have_lost_everything_is_not_believed(polled: ModelBench, mishap: str) -> None:
    """A volume that is not mounted looks like that."""
    aside = polled.repository.with_name("aside")
    polled.repository.rename(aside)
    if mishap == "empty":
        polled.repository.mkdir()
    elif mishap == "a file":
        polled.repository.touch()
    await polled.control.poll()
    assert await polled.label(7) == "value 7"
    assert str(polled.repository) in polled.reason("tiny")
    if mishap == "empty":
        polled.repository.rmdir()
    polled.repository.unlink(missing_ok=True)
    aside.rename(polled.repository)
    await polled.control.poll()
    assert polled.reason("tiny") == ""


async def test_the_first_model_may_be_loaded_by_request(tmp_path: Path) -> None:
    """Into a service that serves nothing, which is not ready until then; and again when the last one has left."""
    bench = await ModelBench(tmp_path, "explicit").start()
    assert bench.entries() == []
    ready = [bench.lifecycle.ready]
    write_model(tmp_path, "first", CLASSIFIER_CONFIG, classifier_graph())
    for _ in range(2):
        await bench.control.load("first")
        ready.append(bench.lifecycle.ready)
        assert await bench.label(7) == "value 7"
        await bench.control.unload("first")
        ready.append(bench.lifecycle.ready)
        await bench.retired()
        assert bench.index("first") == [("1", "UNAVAILABLE")]
    assert ready == [False, True, False, True, False]
    await bench.close()


async def test_an_unloaded_ensemble_is_listed_in_the_version_that_was_served(bench: ModelBench) -> None:
    second_version(bench)
    await bench.control.load("tiny")
    assert bench.index("tiny") == [("2", "READY")]
    await bench.control.unload("tiny")
    assert (bench.index("tiny"), bench.reason("tiny")) == ([("2", "UNAVAILABLE")], "unloaded")


async def test_a_look_that_finds_no_repository_where_none_was_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "repository").mkdir()
    bench = await ModelBench(tmp_path / "repository", "poll").start()
    (tmp_path / "repository").rmdir()
    for _ in range(3):
        await bench.control.poll()
    assert caplog.text.count("no model is served: model repository") == 1
    await bench.close()


async def test_a_file_that_is_the_same_in_other_numbers_is_not_loaded_again(polled: ModelBench) -> None:
    """As after `touch`, `git checkout` or rsync, which move times, and on FUSE and object stores, which move inodes."""
    before = polled.models
    graph = polled.repository / "classify" / "1" / "model.onnx"
    os.utime(graph, (1e9, 1e9))
    await polled.control.poll()
    shutil.copy2(graph, graph.with_name(".copy"))
    graph.with_name(".copy").replace(graph)
    await polled.control.poll()
    assert polled.models is before
    assert polled.factory.loaded == []


async def test_other_contents_of_the_same_size_and_time_are_loaded(polled: ModelBench) -> None:
    """As a file that is put back with `cp --preserve`: only its inode tells, and only its bytes are believed."""
    graph = polled.repository / "classify" / "1" / "model.onnx"
    status = graph.stat()
    graph.with_name(".new").write_bytes(classifier_graph(prefix="other"))
    assert graph.with_name(".new").stat().st_size == status.st_size
    os.utime(graph.with_name(".new"), ns=(status.st_atime_ns, status.st_mtime_ns))
    graph.with_name(".new").replace(graph)
    await polled.control.poll()
    assert await polled.label(7) == "other 7"


async def test_what_may_not_be_a_model_does_not_hold_up_others(
    polled: ModelBench, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, not at every look."""
    for name in ("lost+found", "__MACOSX", ".git", "notes"):
        (polled.repository / name).mkdir()
    second_version(polled)
    with caplog.at_level("INFO"):
        for _ in range(3):
            await polled.control.poll()
    assert await polled.label(7) == "two 7"
    for name in ("lost+found", "__MACOSX", ".git", "notes"):
        assert caplog.text.count(f"{name}':") == 1


# The service


def image(value: int, count: int) -> bytes:
    return bytes([value]) * (count * 5 * 7 * 3)


def classify(connection: HTTPConnection, value: int, count: int) -> set[str]:
    """The versions that answered one request of several images, by their labels' prefix."""
    path = classify_path(height=5, width=7, count=count)
    answer = ask(connection, "POST", path, image(value, count), {"Content-Type": RAW})
    assert answer.status == 200, answer
    tops = [each["predictions"][0]["label"] for each in json.loads(answer.body)["images"]]
    assert [top.split()[1] for top in tops] == [str(value)] * count
    return {top.split()[0] for top in tops}


def test_over_real_sockets_too_no_request_of_a_flow_fails(tmp_path: Path) -> None:
    """Four clients, without a pause; five versions; a broken one between them; one request that spans all swaps."""
    write_tiny_repository(tmp_path)
    flags = ("--model-repository", str(tmp_path), "--model-control", "poll", "--poll-seconds", "0.05")
    with serving(*flags, "--no-grpc", "--no-log-requests") as service:
        answered: list[str] = []
        failures: list[BaseException] = []
        over = threading.Event()

        def client(number: int) -> None:
            try:
                with service.connect() as connection:
                    for value in itertools.cycle(range(number, 200)):
                        versions = classify(connection, value, count=1 + value % 4)
                        assert len(versions) == 1, versions
                        answered.extend(versions)
                        if over.is_set():
                            return
            except BaseException as error:  # noqa: BLE001  # whatever it is, the test must say so
                failures.append(error)

        held = HeldRequest(service, classify_path(height=5, width=7), image(9, 1), RAW)
        clients = [threading.Thread(target=client, args=[number]) for number in range(4)]
        for thread in clients:
            thread.start()
        for version in range(2, 7):
            if version == 4:
                write_version(tmp_path, "classify", version, b"no graph")
                service.wait_for_log("model 'classify' stays as it was")
                continue
            write_version(tmp_path, "classify", version, classifier_graph(prefix=f"v{version}"))
            wanted = f"v{version}"
            service.wait_until(lambda wanted=wanted: wanted in answered or bool(failures))  # type: ignore[misc]
        assert served_versions(service) == ["6"]
        held.send()
        assert held.answer().labels[0] == "value 9"
        service.wait_for_log("model 'classify' version 1 has answered its last request")
        over.set()
        for thread in clients:
            thread.join()
    assert failures == []
    assert {"value", "v2", "v3", "v5", "v6"} == set(answered)


def test_each_worker_process_looks_for_itself(tmp_path: Path) -> None:
    """What none of them serves any more, the metrics no longer count."""
    write_tiny_repository(tmp_path)
    flags = ("--model-repository", str(tmp_path), "--model-control", "poll", "--poll-seconds", "0.05")
    with ServingProcess(*flags, "--no-grpc", "--workers", "2") as service:
        service.wait_for_log("the service is ready", count=2)
        assert service.metric("topfive_model_info", version="1") == 1
        write_version(tmp_path, "classify", 2, classifier_graph(prefix="two"))
        service.wait_for_log("model 'classify' version 2 is served", count=2)
        service.wait_for_log("model 'classify' version 1 has answered its last request", count=2)
        assert service.metric("topfive_model_info", version="1") == 0
        assert service.metric("topfive_model_info", version="2") == 1
        for _ in range(4):
            assert service.classify(image(9, 1), height=5, width=7).labels[0] == "two 9"


def served_versions(service: ServingProcess) -> list[str]:
    """As `topfive_model_info` names them."""
    lines = service.ask("GET", "/metrics").body.decode().splitlines()
    return [line.split('version="')[1].split('"')[0] for line in lines if line.startswith("topfive_model_info{")]
