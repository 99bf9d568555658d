"""A new version takes the place of an old one while requests flow: none fails, none is answered by both."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.testkit.fakes import Inside, settle
from tests.testkit.model_bench import LOAD_SECONDS, ModelBench, labels, until
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    classifier_graph,
    commented,
    crop_graph,
    hanging_crop_graph,
    hanging_graph,
    write_model,
    write_tiny_repository,
    write_version,
)
from topfive.backends.embedded import EmbeddedBackend
from topfive.backends.onnx_runtime import Graph
from topfive.backends.per_image import EmbeddedPerImageGraph
from topfive.ground.errors import ConfigurationError, NotReady, UnknownModel
from topfive.ground.lifecycle import State
from topfive.repository.reading import StoredModel

SLOW_BATCHING = BATCHING.replace("{ }", "{ max_queue_delay_microseconds: 60000000 }")
"""A batch that is not full leaves after a minute, which on the bench's clock never passes."""
ALL_VERSIONS = "version_policy { all { } }"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ModelBench]:
    """The tiny ensemble, served."""
    bench = await ModelBench(write_tiny_repository(tmp_path)).start()
    yield bench
    await bench.close()


def stored(bench: ModelBench, *names: str) -> dict[str, StoredModel]:
    """These models as they lie in the repository now."""
    found = read_repository(bench.repository)
    return {name: found[name] for name in names}


async def change(bench: ModelBench, *names: str) -> None:
    await bench.live.change(bench.loader, stored(bench, *names))


async def swap(bench: ModelBench, version: int, prefix: str) -> None:
    """Put a version with labels of its own into place, and serve it."""
    write_version(bench.repository, "classify", version, classifier_graph(prefix=prefix))
    await change(bench, "classify")


async def test_a_swap_in_the_flow_fails_no_request_and_mixes_no_answer(bench: ModelBench) -> None:
    """Requests of several images, by the ensemble and by its classifier, over four swaps."""
    answers: list[list[str]] = []
    over = False

    async def client(number: int) -> None:
        name, value = ("tiny", "classify")[number % 2], number
        while not over:
            found = await labels(bench.models.find(name), *(value + offset for offset in range(5)))
            assert [int(label.split()[1]) for label in found] == [value + offset for offset in range(5)]
            answers.append([label.split()[0] for label in found])
            value = (value + 1) % 200

    async def after(count: int) -> None:
        reached = len(answers) + count
        await until(lambda: len(answers) >= reached or any(client.done() for client in clients))

    clients = [asyncio.create_task(client(number)) for number in range(8)]
    await after(20)
    for version in (2, 3, 4, 5):
        await swap(bench, version, f"v{version}")
        await after(20)
    over = True
    await asyncio.gather(*clients)
    assert all(len(set(answer)) == 1 for answer in answers)
    assert {answer[0] for answer in answers} == {"value", "v2", "v3", "v4", "v5"}
    await bench.retired()
    assert await bench.label(1) == "v5 1"


async def test_who_found_the_old_version_is_answered_by_it(bench: ModelBench) -> None:
    """However long its body takes; meanwhile others are answered by the new one."""
    old = bench.models.find("classify")
    with Inside(old.batcher):
        await swap(bench, 2, "two")
        assert await bench.label(7) == "two 7"
        assert bench.live.retiring == [("classify", 1)]
        (outcome,) = await old.batcher.submit([np.full((2, 2, 3), 7, np.uint8)])
        assert outcome.row["classes"][0] == "value 7"
        await settle()
        assert bench.live.retiring == [("classify", 1)]
    await bench.retired()
    with pytest.raises(NotReady):
        Inside(old.batcher)


async def test_what_waits_for_company_in_the_old_version_leaves_at_once(tmp_path: Path) -> None:
    """Nobody else will come."""
    write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG.replace(BATCHING, SLOW_BATCHING))
    bench = await ModelBench(tmp_path).start()
    request = asyncio.create_task(labels(bench.models.find(), 3))
    await settle()
    assert not request.done()
    await swap(bench, 2, "two")
    assert await request == ["value 3"]
    await bench.retired()
    await bench.close()


async def test_what_has_not_changed_is_kept_with_all_that_it_counted(bench: ModelBench) -> None:
    """The ensemble gets its new preparation; its classifier, with its queue and its statistics, stays."""
    before, ensemble = bench.models.find("classify"), bench.models.find("tiny")
    write_version(bench.repository, "crop", 1, commented(crop_graph()))
    await change(bench, "crop", "classify", "tiny")
    assert bench.factory.loaded == ["crop/1"]
    assert bench.models.find("classify").batcher is before.batcher
    assert bench.models.find("classify").statistics is before.statistics
    assert bench.models.find("tiny").statistics is ensemble.statistics
    assert bench.models.find("tiny").per_image is not ensemble.per_image
    assert bench.live.retiring == []


async def test_a_new_version_starts_to_count_at_zero(bench: ModelBench) -> None:
    await bench.label(1)
    await asyncio.sleep(0)  # a batch is counted in the turn after its answers
    assert bench.models.find("classify").statistics.execution_count == 1
    await swap(bench, 2, "two")
    assert bench.models.find("classify").statistics.execution_count == 0


async def test_an_unchanged_repository_changes_nothing(bench: ModelBench) -> None:
    before = bench.models
    await change(bench, "crop", "classify", "tiny")
    assert bench.models is before
    assert bench.factory.loaded == []


async def test_the_same_version_with_other_files_is_another(bench: ModelBench) -> None:
    await swap(bench, 1, "again")
    assert await bench.label(5) == "again 5"


async def test_weights_beside_the_graph_belong_to_it(bench: ModelBench) -> None:
    """ONNX may keep them in a file of their own."""
    (bench.repository / "classify" / "1" / "weights.bin").write_bytes(b"0")
    await change(bench, "classify")
    assert bench.factory.loaded == ["classify/1"]


async def test_another_choice_of_versions_loads_only_what_is_new(bench: ModelBench) -> None:
    """So that going back to a version that is still served costs nothing."""
    write_model(bench.repository, "classify", CLASSIFIER_CONFIG + ALL_VERSIONS)
    write_version(bench.repository, "classify", 2, classifier_graph(prefix="two"))
    first = bench.unit("classify", 1)
    await change(bench, "classify")
    assert bench.factory.loaded == ["classify/2"]
    assert [await bench.label(9, "classify", version) for version in (1, 2)] == ["value 9", "two 9"]
    write_model(bench.repository, "classify", CLASSIFIER_CONFIG + "version_policy { specific { versions: [ 1 ] } }")
    await change(bench, "classify")
    assert bench.factory.loaded == ["classify/2"]
    assert bench.unit("classify", 1) is first
    assert await bench.label(9) == "value 9"
    with pytest.raises(UnknownModel):
        bench.models.find("classify", 2)


async def test_a_comment_in_a_configuration_loads_nothing_but_is_what_clients_read(bench: ModelBench) -> None:
    """A field too that means nothing here, as `instance_group.name`."""
    write_model(bench.repository, "classify", CLASSIFIER_CONFIG + 'instance_group { name: "new" kind: KIND_AUTO } # !')
    await change(bench, "classify")
    assert bench.factory.loaded == []
    assert bench.models.find("classify").config.message.instance_group[0].name == "new"


@pytest.mark.parametrize("broken", ["cannot be loaded", "fails at warm-up"])
async def test_a_change_that_fails_changes_nothing(bench: ModelBench, broken: str) -> None:
    """Nor does it leave behind what it had already loaded."""
    before = bench.models
    write_version(bench.repository, "crop", 1, crop_graph())
    graph = b"no graph" if broken == "cannot be loaded" else classifier_graph(labels=3)
    write_version(bench.repository, "classify", 2, graph)
    with pytest.raises(ConfigurationError, match=r"classify/2/model\.onnx"):
        await change(bench, "crop", "classify")
    assert bench.models is before
    assert await bench.label(4) == "value 4"
    assert bench.live.retiring == []


async def test_a_change_that_fails_keeps_nothing_of_what_it_loaded(bench: ModelBench) -> None:
    write_model(bench.repository, "a", CLASSIFIER_CONFIG, classifier_graph())
    write_model(bench.repository, "z", CLASSIFIER_CONFIG, b"no graph")
    with pytest.raises(ConfigurationError, match=r"z/1/model\.onnx"):
        await change(bench, "a", "z")
    assert bench.factory.loaded == ["a/1", "z/1"]
    _, of_a = bench.factory.backends
    await until(lambda: of_a() is None)


async def test_a_backend_that_cannot_be_closed_is_told_of(
    bench: ModelBench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It harms nobody else."""

    async def stuck() -> None:
        raise RuntimeError("it does not let go")

    with monkeypatch.context() as patch:
        patch.setattr(bench.unit("classify").backend, "close", stuck)
        await swap(bench, 2, "two")
        await bench.retired()
    assert "model 'classify' version 1 could not be released" in caplog.text
    assert "it does not let go" in caplog.text
    assert await bench.label(1) == "two 1"


async def test_what_was_found_broken_is_not_loaded_again_until_it_changes(bench: ModelBench) -> None:
    write_version(bench.repository, "classify", 2, b"no graph")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="onnxruntime cannot load"):
            await change(bench, "classify")
    assert bench.factory.loaded == ["classify/2"]
    await swap(bench, 2, "two")
    assert await bench.label(4) == "two 4"


async def test_a_model_whose_warm_up_never_ends_is_refused_and_the_others_are_served_meanwhile(
    bench: ModelBench, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given up after its time, and its thread comes back; it is not tried again until its files change."""
    caplog.set_level("INFO", "topfive")
    write_model(bench.repository, "hangs", CLASSIFIER_CONFIG, hanging_graph(always=True))
    attempt = asyncio.create_task(change(bench, "hangs"))
    await until(lambda: bench.clock.armed and any(thread.name == "load-1" for thread in threading.enumerate()))
    assert await bench.label(4) == "value 4"
    bench.clock.advance(11.0)
    await until(lambda: "hangs/1/model.onnx: its warm-up goes on after 11 s, of at most 120" in caplog.text)
    bench.clock.advance(LOAD_SECONDS)
    with pytest.raises(ConfigurationError, match=r"hangs/1/model\.onnx: its warm-up did not end within 120 s"):
        await attempt
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("load")]
    assert not bench.factory.left_behind
    with pytest.raises(ConfigurationError, match="did not end within 120 s"):
        await change(bench, "hangs")
    assert bench.factory.loaded == ["hangs/1"]
    assert await bench.label(4) == "value 4"


async def test_a_preparation_whose_warm_up_never_ends_is_refused_too(
    bench: ModelBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, run = threading.Event(), Graph.run

    def watched(graph: Graph, *arguments: Any) -> Any:
        runs.set()
        return run(graph, *arguments)

    monkeypatch.setattr(Graph, "run", watched)
    write_version(bench.repository, "crop", 1, hanging_crop_graph())
    attempt = asyncio.create_task(change(bench, "crop"))
    await until(runs.is_set)
    await until(lambda: bench.clock.armed)
    bench.clock.advance(LOAD_SECONDS)
    with pytest.raises(ConfigurationError, match=r"crop/1/model\.onnx: its warm-up did not end"):
        await attempt
    assert not bench.factory.left_behind
    assert await bench.label(4) == "value 4"


async def test_a_graph_that_changes_while_it_is_loaded_is_refused(bench: ModelBench) -> None:
    """Which half of it was read, nobody knows."""
    write_version(bench.repository, "classify", 2, classifier_graph(prefix="two"))
    bench.factory.gate.clear()
    attempt = asyncio.create_task(change(bench, "classify"))
    await until(lambda: bench.factory.loaded)
    write_version(bench.repository, "classify", 2, classifier_graph(prefix="three"))
    bench.factory.gate.set()
    with pytest.raises(ConfigurationError, match="changed while it was being loaded"):
        await attempt
    assert await bench.label(4) == "value 4"


async def test_a_change_that_is_cancelled_changes_nothing(bench: ModelBench) -> None:
    before = bench.models
    write_version(bench.repository, "classify", 2, classifier_graph(prefix="two"))
    bench.factory.gate.clear()
    attempt = asyncio.create_task(change(bench, "classify"))
    await until(lambda: bench.factory.loaded)
    attempt.cancel()
    await asyncio.wait([attempt])
    assert attempt.cancelled()
    assert (bench.models, bench.live.loading) == (before, None)


@pytest.mark.parametrize("state", [State.DRAINING, State.FAILED])
async def test_a_service_that_is_about_to_end_swaps_nothing(bench: ModelBench, state: State) -> None:
    """Even if it was loaded by then."""
    before = bench.models
    write_version(bench.repository, "classify", 2, classifier_graph(prefix="two"))
    bench.factory.gate.clear()
    attempt = asyncio.create_task(change(bench, "classify"))
    await until(lambda: bench.factory.loaded)
    bench.lifecycle.enter(state)
    bench.factory.gate.set()
    with pytest.raises(NotReady):
        await attempt
    assert bench.models is before


async def test_an_old_version_gives_back_its_session(bench: ModelBench) -> None:
    """By its last reference: the collector, which the swap tells to leave alone what is alive, need not find it."""
    backend, per_image = bench.unit("classify").backend, bench.models.find("tiny").per_image
    assert isinstance(backend, EmbeddedBackend)
    assert isinstance(per_image, EmbeddedPerImageGraph)
    graphs = [graph for graph in (*backend._graphs, per_image._graph) if isinstance(graph, Graph)]
    sessions = [graph._session._sess for graph in graphs]
    assert len(sessions) > 1
    alive = [weakref.ref(each) for each in (bench.unit("classify").batcher, backend, per_image, *sessions)]
    await labels(bench.models.find(), 1, 2, 3)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        del backend, per_image, graphs, sessions
        write_version(bench.repository, "crop", 1, commented(crop_graph()))
        write_version(bench.repository, "classify", 2, classifier_graph(prefix="two"))
        await change(bench, "crop", "classify")
        await labels(bench.models.find(), 1, 2, 3)
        await until(lambda: not any(each() for each in alive))
    finally:
        gc.enable()


async def test_the_metrics_name_only_what_is_served(bench: ModelBench) -> None:
    def described() -> list[str]:
        lines = bench.metrics.exposition().decode().splitlines()
        return [line for line in lines if line.startswith("topfive_model_info{")]

    await swap(bench, 2, "two")
    (line,) = described()
    assert 'model="classify"' in line
    assert 'version="2"' in line
    await bench.live.change(bench.loader, {"tiny": None, "classify": None})
    assert described() == []


async def test_the_versions_of_a_model_share_the_gauges_of_how_full_it_is(tmp_path: Path) -> None:
    """What waits for any of them counts, also for one on its way out; what is gone has nothing waiting."""
    text = CLASSIFIER_CONFIG.replace(BATCHING, SLOW_BATCHING) + ALL_VERSIONS
    write_model(tmp_path, "m", text, classifier_graph(), versions=[1, 2])
    bench = await ModelBench(tmp_path).start()

    def gauges() -> list[str]:
        bench.live.publish()
        lines = bench.metrics.exposition().decode().splitlines()
        wanted = ("topfive_queue_items{", "topfive_queue_bytes{", "topfive_queue_items_limit{", "topfive_slots{")
        return [line.split()[1] for name in wanted for line in lines if line.startswith(name + 'model="m"}')]

    first, second = bench.models.find("m", 1), bench.models.find("m", 2)
    requests = [asyncio.create_task(labels(model, 1)) for model in (first, second, second)]
    await settle()
    slots = str(float(2 * first.batcher.fill.slots))
    assert gauges() == ["3.0", "36.0", "154.0", slots]
    write_model(tmp_path, "other", CLASSIFIER_CONFIG, classifier_graph())
    await bench.live.change(bench.loader, stored(bench, "other") | {"m": None})
    await asyncio.gather(*requests)
    await bench.retired()
    assert gauges() == ["0.0", "0.0", "0.0", "0.0"]
    await bench.close()


async def test_a_drain_answers_what_waits_in_old_and_new(tmp_path: Path) -> None:
    """And takes nothing more, though somebody is still inside."""
    write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG.replace(BATCHING, SLOW_BATCHING))
    bench = await ModelBench(tmp_path).start()
    old = bench.models.find()
    with Inside(old.batcher):
        await swap(bench, 2, "two")
        requests = [asyncio.create_task(labels(model, 5)) for model in (old, bench.models.find())]
        await settle()
        await bench.live.drain()
        assert await asyncio.gather(*requests) == [["value 5"], ["two 5"]]
        await settle()
        assert bench.live.retiring == []
        for model in (old, bench.models.find()):
            with pytest.raises(NotReady):
                await labels(model, 1)


async def test_a_model_without_batching_is_changed_too(tmp_path: Path) -> None:
    write_model(tmp_path, "crop", CROP_CONFIG, crop_graph())
    write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG.replace(BATCHING, ""))
    bench = await ModelBench(tmp_path).start()
    await swap(bench, 2, "two")
    assert await labels(bench.models.find(), 1, 2, 3) == ["two 1", "two 2", "two 3"]
    await bench.close()
