"""The start and stop of the service: readiness is earned, failures are fatal, and a stop answers what waits."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.testkit.fakes import FakeClock, HeldBackend, LocalFactory, image, settle
from tests.testkit.image_files import encode
from tests.testkit.model_bench import until
from tests.testkit.threads import run_deadly
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    classifier_graph,
    write_model,
    write_tiny_repository,
    write_version,
)
from topfive.backends.null import NullPerImageGraph
from topfive.config.settings import Settings
from topfive.ground.errors import (
    BackendFailure,
    BackendMismatch,
    BackendUnreachable,
    ConfigurationError,
    NotReady,
    UndecodableImage,
)
from topfive.ground.lifecycle import State
from topfive.images.decoding import DecodingRules, decode
from topfive.machine.workers import WorkerPool
from topfive.models.settling import SETTLE_SECONDS
from topfive.observe.metrics import Metrics
from topfive.repository.model_config import ModelConfig
from topfive.repository.reading import Repository
from topfive.request.admission import Entry
from topfive.serving.serving import Serving


class CheckedBackend(HeldBackend):
    """Is away while the test says so."""

    away: BackendUnreachable | None = None

    async def check(self) -> None:
        if self.away is not None:
            raise self.away


class SteeredFactory(LocalFactory):
    """Makes one held backend when the test opens the gate; raises `error`, if there is one, instead."""

    name = "steered"

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0
        self.error: Exception | None = None
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.backend = CheckedBackend()

    async def wait_until_reachable(self) -> None:
        await self.reachable.wait()

    async def per_image(self, config: ModelConfig, path: Path) -> NullPerImageGraph:
        return NullPerImageGraph(config.outputs[0])

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> CheckedBackend:
        self.asked += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.backend


class Bench:
    """A service on the tiny repository whose loading and batches wait for the test's word."""

    def __init__(self, repository: Path, *, cores: int = 2, shutdown_seconds: float = 30.0, **settings: Any) -> None:
        self.factory = SteeredFactory()
        self.clock = FakeClock()
        self.failures: list[BaseException | None] = []
        self.serving = Serving(
            Settings(model_repository=repository, shutdown_seconds=shutdown_seconds, **settings),
            repository=Repository(repository),
            stored=Repository(repository).read(may_be_empty=True),
            factory=self.factory,
            cores=cores,
            clock=self.clock,
            metrics=Metrics(shared_folder=None),
            on_fatal=lambda: self.failures.append(self.serving.failure),
        )

    def state(self) -> State:
        return self.serving.lifecycle.state

    async def start(self) -> None:
        self.serving.start()
        self.factory.gate.set()
        await self.serving.wait_until_loaded()

    async def submit(self, value: int) -> int:
        """The answer to an image of `value`."""
        (outcome,) = await self.serving.models.find().batcher.submit([image(value)])
        return int(outcome.row["value"])


@pytest.fixture
def bench(tiny_repository: Path) -> Bench:
    return Bench(tiny_repository)


async def test_what_the_settings_say_of_decoding_reaches_those_who_decode(tiny_repository: Path) -> None:
    bench = Bench(tiny_repository, allow_damaged_images=True, convert_colour_profiles=False)
    await bench.start()
    body = encode(np.zeros((16, 16, 3), np.uint8), "JPEG")
    damaged = body[: body.index(b"\xff\xda") + 14] + b"\xff\xd9"
    assert bench.serving._preparation is not None
    rules = bench.serving._preparation._rules
    assert rules == DecodingRules(allow_damaged_images=True, convert_colour_profiles=False)
    images = decode(damaged, bench.serving.limits, rules)
    assert images.shape == (1, 16, 16, 3)
    with pytest.raises(UndecodableImage):
        decode(damaged, bench.serving.limits)
    await bench.serving.stop()


async def test_nothing_is_served_before_the_models_are_warm(bench: Bench) -> None:
    serving = bench.serving
    serving.start()
    await settle()
    assert bench.state() is State.STARTING
    with pytest.raises(NotReady):
        _ = serving.models
    bench.factory.gate.set()
    await serving.wait_until_loaded()
    assert bench.state() is State.READY
    assert serving.models.find().name == "tiny"
    await serving.stop()


async def test_before_the_start_there_is_no_classifier(bench: Bench) -> None:
    with pytest.raises(NotReady):
        _ = bench.serving.classifier


@pytest.mark.parametrize("error", [ConfigurationError("no such graph"), RuntimeError("a defect")])
async def test_a_load_that_fails_ends_the_service(bench: Bench, error: Exception) -> None:
    bench.factory.error = error
    await bench.start()
    assert bench.state() is State.FAILED
    assert bench.failures == [error]
    with pytest.raises(NotReady):
        _ = bench.serving.models
    await bench.serving.stop()
    assert bench.state() is State.STOPPED


async def stands_still(bench: Bench) -> None:
    """Let the pause pass after which a look at the repository looks again."""
    await until(lambda: bench.clock.now() + SETTLE_SECONDS in bench.clock.armed)
    bench.clock.advance(SETTLE_SECONDS)


async def test_an_empty_repository_is_served_once_a_model_comes(tmp_path: Path) -> None:
    """It is looked at, so that may be: until then the service is up, and not ready."""
    bench = Bench(tmp_path, model_control="poll", poll_seconds=15.0)
    await bench.start()
    serving = bench.serving
    assert (bench.state(), serving.lifecycle.ready, list(serving.models)) == (State.READY, False, [])
    serving.gauges.publish()
    assert b"topfive_ready 0.0" in serving.metrics.exposition()
    write_tiny_repository(tmp_path)
    look = asyncio.create_task(serving.control.poll())
    await stands_still(bench)
    await look
    assert serving.lifecycle.ready
    assert serving.models.find().name == "tiny"
    assert b"topfive_ready 1.0" in serving.metrics.exposition()
    await serving.stop()


@pytest.mark.parametrize("name", ["tiger", "crop"])
async def test_a_default_model_that_is_not_served_ends_the_start(tiny_repository: Path, name: str) -> None:
    """Where no model can come any more. The message names those that are."""
    bench = Bench(tiny_repository, default_model=name)
    await bench.start()
    (failure,) = bench.failures
    assert isinstance(failure, ConfigurationError)
    assert f"the default model '{name}' (TOPFIVE_DEFAULT_MODEL) is not served now" in str(failure)
    assert "tiny" in str(failure)
    await bench.serving.stop()


async def test_a_default_model_may_come_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(write_tiny_repository(tmp_path), default_model="later", model_control="explicit")
    await bench.start()
    assert bench.failures == []
    assert "the default model 'later' (TOPFIVE_DEFAULT_MODEL) is not served now" in caplog.text
    write_model(tmp_path, "later", CLASSIFIER_CONFIG, classifier_graph())
    await bench.serving.control.load("later")
    assert bench.serving.models.find().name == "later"
    await bench.serving.stop()


async def test_while_draining_all_that_comes_is_still_served(bench: Bench) -> None:
    await bench.start()
    bench.serving.begin_drain()
    assert bench.state() is State.DRAINING
    request = asyncio.create_task(bench.submit(7))
    await settle()
    bench.factory.backend.held[0].answer()
    assert await request == 7
    await bench.serving.stop()


async def test_a_stop_answers_what_runs_and_what_waits(bench: Bench) -> None:
    """It ends when all are answered, not before; then nothing is taken."""
    await bench.start()
    requests = [asyncio.create_task(bench.submit(value)) for value in range(7)]
    await settle()
    stop = asyncio.create_task(bench.serving.stop())
    while not all(request.done() for request in requests):
        assert not stop.done()
        bench.factory.backend.held[0].answer()
        await settle()
    assert [request.result() for request in requests] == list(range(7))
    await stop
    assert bench.state() is State.STOPPED
    with pytest.raises(NotReady):
        await bench.submit(8)


async def test_a_stop_breaks_the_start_off(bench: Bench) -> None:
    bench.serving.start()
    await settle()
    await bench.serving.stop()
    assert bench.state() is State.STOPPED
    assert bench.failures == []


async def test_a_batch_that_never_ends_does_not_stop_the_stop(tiny_repository: Path) -> None:
    bench = Bench(tiny_repository, shutdown_seconds=0.01)
    await bench.start()
    request = asyncio.create_task(bench.submit(7))
    await settle()
    await bench.serving.stop()
    assert bench.state() is State.STOPPED
    bench.factory.backend.held[0].answer()
    assert await request == 7


class Defect(BaseException):
    """What no `except Exception` catches."""


async def test_a_batcher_that_fails_ends_the_service(bench: Bench) -> None:
    """Who waits gets an error, readiness goes down, and nothing more is taken."""
    await bench.start()
    request = asyncio.create_task(bench.submit(1))
    await settle()
    defect = Defect()
    bench.factory.backend.held[0].release.set_exception(defect)
    with pytest.raises(BackendFailure):
        await request
    await settle()
    assert bench.state() is State.FAILED
    assert bench.failures == [defect]
    with pytest.raises(NotReady):
        await bench.submit(3)
    await bench.serving.stop()


async def test_a_batch_that_does_not_end_ends_the_service(tiny_repository: Path) -> None:
    """Nor when it is told to: everybody has an error, and the stop does not wait for it either."""
    bench = Bench(tiny_repository, stuck_batch_seconds=2.5)
    await bench.start()
    requests = [asyncio.create_task(bench.submit(value)) for value in range(7)]
    await settle()
    bench.clock.advance(3.0)
    await asyncio.wait_for(bench.factory.backend.told_to_end.wait(), 30)
    bench.clock.advance(3.0)
    results = await asyncio.wait_for(asyncio.gather(*requests, return_exceptions=True), 30)
    assert [type(result) for result in results] == [BackendFailure] * 7
    assert bench.state() is State.FAILED
    assert bench.serving.is_stuck
    assert "2.5 s" in str(bench.failures[0])
    with pytest.raises(NotReady):
        await bench.submit(8)
    await asyncio.wait_for(bench.serving.stop(), 10)
    assert bench.state() is State.STOPPED


async def test_a_worker_thread_that_dies_ends_the_service(tiny_repository: Path) -> None:
    """Whichever pool it is of: the service says so, and is not ready any more; the calls that wait are still run."""
    bench = Bench(tiny_repository, cores=1)
    await bench.start()
    serving = bench.serving
    assert serving._preparation is not None
    for pool in (*serving._pools, *serving._preparation.pools):
        calls = [run_deadly(pool, MemoryError()), *(pool.run(str, 5) for _ in range(50))]
        lost, *results = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(lost, RuntimeError)
        assert results == ["5"] * 50
        assert bench.state() is State.FAILED
    names = [str(failure).removeprefix("the thread ").split("-0")[0] for failure in bench.failures]
    assert names == ["compute", "aside", "prepare", "prepare-dear"]
    await serving.stop()


@pytest.mark.parametrize("pool", ["aside", "prepare", "prepare-dear"])
async def test_a_call_beside_the_batches_that_does_not_end_ends_the_service(tiny_repository: Path, pool: str) -> None:
    bench = Bench(tiny_repository, stuck_batch_seconds=0.5, max_decode_seconds=1.5)
    await bench.start()
    serving, opened, entered = bench.serving, threading.Event(), threading.Event()
    threads = {watched._name: watched for watched in serving._watched}[pool]

    def hang() -> None:
        entered.set()
        opened.wait(30)

    threads.run(hang)
    await asyncio.to_thread(entered.wait, 30)
    for _ in range(2):
        serving._fail_if_thread_is_stuck()
        assert bench.state() is State.READY
    serving._fail_if_thread_is_stuck()
    assert bench.state() is State.FAILED
    assert serving.is_stuck
    assert re.fullmatch(rf"a call on the thread {pool}-\d has not ended within 2 s", str(bench.failures[0]))
    opened.set()
    await serving.stop()


async def test_a_service_that_nobody_watches_has_failed(bench: Bench) -> None:
    """And does not become ready all the same when its models are warm."""
    defect = ZeroDivisionError("a defect")

    def broken(seconds: float) -> None:
        raise defect

    bench.serving._live.fail_if_stuck = broken  # type: ignore[assignment]
    bench.serving.start()
    await settle()
    assert bench.failures == [defect]
    assert bench.state() is State.FAILED
    bench.factory.gate.set()
    await bench.serving.wait_until_loaded()
    assert bench.state() is State.FAILED
    await bench.serving.stop()


async def test_a_gauge_that_cannot_be_read_fails_nobody(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Here there is no file to be had. It is counted, and told of once until it is well again; the others are set."""
    await bench.start()
    serving = bench.serving
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    file = os.dup(0)  # the lowest number that is free
    os.close(file)
    for times in (1, 2):
        resource.setrlimit(resource.RLIMIT_NOFILE, (file, hard))
        try:
            serving.gauges.publish()
            with Entry(serving.admission, serving.models.find().batcher.room) as entry:
                entry.begin(1)
                serving.gauges.publish()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert b"topfive_in_flight 1.0" in serving.metrics.exposition()
        assert f"topfive_gauge_failures_total {2 * times}.0".encode() in serving.metrics.exposition()
        assert [text for text in caplog.messages if "gauges" in text] == [
            "some gauges stay as they were: [Errno 24] Too many open files: '/proc/self/statm'"
        ] * times
        serving.gauges.publish()
    assert (bench.state(), bench.failures) == (State.READY, [])
    await serving.stop()


async def test_a_service_that_is_told_to_stop_does_not_become_ready(bench: Bench) -> None:
    bench.serving.start()
    await settle()
    bench.serving.begin_drain()
    bench.factory.gate.set()
    await bench.serving.wait_until_loaded()
    assert bench.state() is State.DRAINING
    await bench.serving.stop()


async def test_readiness_is_a_metric(bench: Bench) -> None:
    def ready() -> bool:
        return "topfive_ready 1.0" in bench.serving.metrics.exposition().decode()

    assert not ready()
    await bench.start()
    assert ready()
    bench.serving.begin_drain()
    assert not ready()
    await bench.serving.stop()


# Models that change


async def test_models_change_only_once_the_service_is_ready(tmp_path: Path) -> None:
    bench = Bench(write_tiny_repository(tmp_path), model_control="explicit")
    for call in (bench.serving.control.load("tiny"), bench.serving.control.unload("tiny")):
        with pytest.raises(NotReady):
            await call
    with pytest.raises(NotReady):
        bench.serving.control.index()
    await bench.start()
    await bench.serving.control.load("tiny")
    bench.serving.begin_drain()
    with pytest.raises(NotReady):
        await bench.serving.control.load("tiny")
    await bench.serving.stop()


async def test_a_load_takes_the_place_of_what_is_served(tmp_path: Path) -> None:
    """And the old backend is closed once it has answered; a stop answers both."""
    bench = Bench(write_tiny_repository(tmp_path), model_control="explicit")
    await bench.start()
    old = bench.factory.backend
    request = asyncio.create_task(bench.submit(1))
    await settle()
    bench.factory.backend = CheckedBackend()
    write_version(tmp_path, "classify", 2, classifier_graph())
    await bench.serving.control.load("classify")
    assert bench.serving.models.find("classify").version == 2
    another = asyncio.create_task(bench.submit(2))
    await settle()
    stop = asyncio.create_task(bench.serving.stop())
    await settle()
    old.held[0].answer()
    bench.factory.backend.held[0].answer()
    assert (await request, await another) == (1, 2)
    await stop


async def test_the_repository_is_polled_as_the_settings_say_until_the_stop(tmp_path: Path) -> None:
    bench = Bench(write_tiny_repository(tmp_path), model_control="poll", poll_seconds=7.0)
    await bench.start()
    await settle()
    clock = bench.clock
    looks = clock.now() + 7.0
    assert looks in clock.armed, "beside the watch's own timers"
    write_version(tmp_path, "classify", 2, classifier_graph())
    clock.advance(7.0)
    await stands_still(bench)
    await until(lambda: bench.serving.models.find("classify").version == 2)
    await until(lambda: looks + SETTLE_SECONDS + 7.0 in clock.armed)
    await bench.serving.stop()
    assert clock.armed == []
    assert bench.failures == []


@pytest.mark.parametrize("mode", ["none", "explicit"])
async def test_otherwise_the_repository_is_not_looked_at_again(tmp_path: Path, mode: str) -> None:
    bench = Bench(write_tiny_repository(tmp_path), model_control=mode)
    await bench.start()
    await settle()
    watch = len(bench.clock.armed)
    bench.clock.advance(1000.0)
    await settle()
    assert len(bench.clock.armed) == watch, "none but the watch's own timers"
    assert all(when <= bench.clock.now() + 1.0 for when in bench.clock.armed)
    await bench.serving.stop()


async def test_a_stop_breaks_a_look_off(tmp_path: Path) -> None:
    """Though it is loading a model at the time."""
    bench = Bench(write_tiny_repository(tmp_path), model_control="poll")
    await bench.start()
    await settle()
    bench.factory.gate.clear()
    bench.factory.asked = 0
    write_version(tmp_path, "classify", 2, classifier_graph())
    clock = bench.serving.clock
    assert isinstance(clock, FakeClock)
    clock.advance(bench.serving.settings.poll_seconds)
    await stands_still(bench)
    await until(lambda: bench.factory.asked)
    await bench.serving.stop()
    assert (bench.state(), bench.failures) == (State.STOPPED, [])


async def test_who_is_told_to_stop_while_starting_has_not_failed(bench: Bench) -> None:
    """The models become warm during the grace: too late to serve them."""
    bench.serving.start()
    await settle()
    bench.serving.begin_drain()
    bench.factory.gate.set()
    await bench.serving.wait_until_loaded()
    assert bench.failures == []
    with pytest.raises(NotReady):
        _ = bench.serving.models
    await bench.serving.stop()
    assert bench.state() is State.STOPPED


async def second(bench: Bench) -> None:
    """Let one pass, after which the backends are asked."""
    await settle()
    bench.clock.advance(1.0)
    await settle()


async def test_it_is_ready_only_while_its_backend_is(bench: Bench) -> None:
    await bench.start()
    await second(bench)
    assert bench.state() is State.READY
    bench.factory.backend.away = BackendUnreachable("Triton is away")
    request = asyncio.create_task(bench.submit(1))
    await second(bench)
    assert bench.state() is State.UNREACHABLE
    assert b"topfive_ready 0.0" in bench.serving.metrics.exposition()
    with pytest.raises(BackendUnreachable, match="Triton is away"):
        await bench.submit(2)
    bench.factory.backend.away = None
    await second(bench)
    assert bench.state() is State.READY
    bench.factory.backend.held[0].answer()
    assert await request == 1, "a thread could not be cancelled, and has its answer"
    assert bench.failures == []
    await bench.serving.stop()


async def test_it_can_be_stopped_while_its_backend_is_away(bench: Bench) -> None:
    await bench.start()
    bench.factory.backend.away = BackendUnreachable("Triton is away")
    await second(bench)
    await bench.serving.stop()
    assert (bench.state(), bench.failures) == (State.STOPPED, [])


async def test_a_failure_of_ours_while_the_backend_is_away_ends_it(bench: Bench) -> None:
    await bench.start()
    bench.factory.backend.away = BackendUnreachable("Triton is away")
    await second(bench)
    bench.serving.fail(error := RuntimeError("a defect"))
    assert (bench.state(), bench.failures) == (State.FAILED, [error])
    await bench.serving.stop()


async def test_a_check_that_is_broken_ends_the_service(bench: Bench) -> None:
    """Rather than leave nobody to ask."""
    await bench.start()
    bench.factory.backend.away = error = RuntimeError("a defect")  # type: ignore[assignment]
    await second(bench)
    assert (bench.state(), bench.failures) == (State.FAILED, [error])
    await bench.serving.stop()


async def test_at_the_start_it_waits_for_its_backend(bench: Bench) -> None:
    bench.factory.reachable.clear()
    bench.serving.start()
    bench.factory.gate.set()
    await second(bench)
    assert (bench.state(), bench.factory.asked) == (State.STARTING, 0)
    bench.factory.reachable.set()
    await bench.serving.wait_until_loaded()
    assert bench.state() is State.READY
    await bench.serving.stop()


async def test_a_backend_that_goes_away_during_the_start_is_waited_for_again(bench: Bench) -> None:
    bench.factory.error = BackendUnreachable("gone again")
    bench.factory.gate.set()
    bench.serving.start()
    await until(lambda: bench.factory.asked == 1)
    await settle()
    assert bench.state() is State.STARTING
    bench.factory.error = None
    await second(bench)
    await bench.serving.wait_until_loaded()
    assert (bench.state(), bench.factory.asked) == (State.READY, 2)
    await bench.serving.stop()


async def test_a_new_version_can_replace_the_one_whose_backend_is_away(tmp_path: Path) -> None:
    """As when Triton has gone on to it: the old one is no longer asked for, and the service is ready again."""
    bench = Bench(write_tiny_repository(tmp_path), model_control="explicit")
    await bench.start()
    old = bench.factory.backend
    old.away = BackendUnreachable("version 1 is not ready there")
    await second(bench)
    assert bench.state() is State.UNREACHABLE
    bench.factory.backend = CheckedBackend()
    write_version(tmp_path, "classify", 2, classifier_graph())
    await bench.serving.control.load("classify")
    await second(bench)
    assert bench.state() is State.READY
    assert bench.serving.models.find().batcher.waiting == (0, 0)
    await bench.serving.stop()


async def test_a_mismatch_is_tried_again_though_no_file_has_changed(tmp_path: Path) -> None:
    """For the other side may have changed."""
    bench = Bench(write_tiny_repository(tmp_path), model_control="poll")
    await bench.start()
    await settle()
    bench.factory.error = BackendMismatch("Triton has no version 2 yet")
    bench.factory.backend = CheckedBackend()
    write_version(tmp_path, "classify", 2, classifier_graph())
    bench.clock.advance(bench.serving.settings.poll_seconds)
    await stands_still(bench)
    await until(lambda: "no version 2" in str(bench.serving.control.index()))
    assert bench.serving.models.find("classify").version == 1
    bench.factory.error = None
    await settle()
    bench.clock.advance(bench.serving.settings.poll_seconds)
    await until(lambda: bench.serving.models.find("classify").version == 2)
    await bench.serving.stop()


async def test_polling_outlasts_a_backend_that_is_away(tmp_path: Path) -> None:
    bench = Bench(write_tiny_repository(tmp_path), model_control="poll")
    await bench.start()
    await settle()
    asked = bench.factory.asked
    bench.factory.error = BackendUnreachable("away")
    write_version(tmp_path, "classify", 2, classifier_graph())
    bench.clock.advance(bench.serving.settings.poll_seconds)
    await stands_still(bench)
    await until(lambda: bench.factory.asked > asked)
    bench.factory.error = None
    bench.factory.backend = CheckedBackend()
    await until(lambda: len([when for when in bench.clock.armed if when > bench.clock.now() + 2.0]) > 0)
    bench.clock.advance(bench.serving.settings.poll_seconds)
    await until(lambda: bench.serving.models.find("classify").version == 2)
    await bench.serving.stop()
