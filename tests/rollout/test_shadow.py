"""When copies run and when they are dropped, on a clock that stands still and a target that the test steers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tests.testkit.fakes import FakeClock, settle
from topfive.ground.trial_rules import ShadowRule
from topfive.ground.types import Timings
from topfive.observe.metrics import Metrics
from topfive.request.classifier import Asked, Classification
from topfive.rollout.comparison import Labelled
from topfive.rollout.copies import Copies
from topfive.rollout.idle import MOMENT_SECONDS, Idle
from topfive.rollout.shadow import Shadow
from topfive.rollout.targets import Load, NotAnswered

CAT = Labelled(("cat",), (0.5,))
ROW = {"classes": np.array(["cat"], object), "probabilities": np.array([0.5])}


@dataclass
class Target:
    """Answers what the test says, when it says so."""

    needs_idle: bool = True
    places: int = 1
    one_by_one: bool = False
    defect: bool = False
    running: list[asyncio.Future[Sequence[Labelled]]] = field(default_factory=list)
    closed: bool = False

    @property
    def free(self) -> bool:
        return self.places > 0

    def loads(self, asked: Asked, result: Classification) -> list[Load]:
        if self.defect:
            raise ValueError("a defect")
        images = len(result.rows)
        return [Load("load", 10, 1)] * images if self.one_by_one else [Load("load", 10, images)]

    def live_seconds(self, timings: Timings) -> float:
        return timings.inference_seconds

    def answer(self, content: Any) -> Coroutine[Any, Any, tuple[Sequence[Labelled], float]]:
        self.places -= 1
        answered: asyncio.Future[Sequence[Labelled]] = asyncio.get_running_loop().create_future()
        self.running.append(answered)
        return self._wait(answered)

    async def _wait(self, answered: asyncio.Future[Sequence[Labelled]]) -> tuple[Sequence[Labelled], float]:
        try:
            return await answered, 0.5
        finally:
            self.running.remove(answered)
            self.places += 1

    async def close(self, *, seconds: float) -> None:
        self.closed = True


@dataclass
class Bench:
    target: Target = field(default_factory=Target)
    clock: FakeClock = field(default_factory=FakeClock)
    in_flight: int = 0
    drawn: float = 0.0

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.idle = Idle(2, in_flight=lambda: self.in_flight, busy_share=0.01)
        self.shadow = Shadow(
            ShadowRule("lite", 0.5, "lite", 2),
            self.target,
            copies=Copies(max_images=3, max_bytes=1000),
            idle=self.idle,
            metrics=self.metrics.trials.shadow("lite", "lite:2"),
            clock=self.clock,
            draw=lambda: self.drawn,
        )

    def answered(self, *, name: str = "lite", version: int = 1, images: int = 1) -> None:
        """A live request has been answered, and has ended."""
        model = SimpleNamespace(name=name, version=version)
        result = Classification(cast("Any", model), [ROW] * images, Timings(0, 0, 0, 0.25), [], [])
        self.shadow.saw(cast("Asked", None), result, "id")
        self.shadow.ended()

    def count(self, what: str, **labels: str) -> float:
        found = getattr(self.metrics.trials, what).labels("lite", "lite:2", *labels.values())
        return float(found._value.get())


async def test_a_copy_runs_once_the_cores_have_been_idle_for_a_moment() -> None:
    bench = Bench()
    bench.answered()
    await settle()
    assert not bench.target.running, "the client's next request is the likeliest to come now"
    bench.clock.advance(MOMENT_SECONDS)
    await settle()
    assert len(bench.target.running) == 1
    bench.target.running[0].set_result([CAT])
    await settle()
    assert bench.count("compared", agrees="yes") == 1
    assert bench.clock.armed == []


async def test_no_copy_runs_while_a_request_is_in_flight_and_it_is_dropped_in_the_end() -> None:
    bench = Bench(in_flight=1)
    bench.answered(images=2)
    await settle()
    bench.clock.advance(4.9)
    await settle()
    assert not bench.target.running
    bench.clock.advance(0.1)
    await settle()
    assert bench.count("dropped", reason="busy") == 2
    assert bench.clock.armed == []


async def test_copies_run_one_after_the_other_and_what_does_not_fit_is_dropped() -> None:
    bench = Bench()
    for _ in range(4):
        bench.answered()
    assert bench.count("dropped", reason="full") == 0, "not before the answer is out"
    await settle()
    assert bench.count("dropped", reason="full") == 1
    bench.clock.advance(MOMENT_SECONDS)
    for done in range(3):
        await settle()
        assert len(bench.target.running) == 1
        bench.target.running[0].set_result([CAT])
        await settle()
        assert bench.count("compared", agrees="yes") == done + 1


async def test_a_target_elsewhere_gets_copies_however_busy_the_cores_are() -> None:
    bench = Bench(target=Target(needs_idle=False, places=2), in_flight=7)
    for _ in range(3):
        bench.answered()
    await settle()
    assert len(bench.target.running) == 2
    bench.target.running[0].set_result([CAT])
    await settle()
    assert len(bench.target.running) == 2


async def test_only_its_models_requests_are_copied_and_only_the_share() -> None:
    bench = Bench(target=Target(needs_idle=False, places=9))
    bench.answered(name="other")
    bench.answered(version=2)
    bench.drawn = 0.5
    bench.answered()
    await settle()
    assert not bench.target.running
    bench.drawn = 0.49
    bench.answered()
    await settle()
    assert len(bench.target.running) == 1


async def test_what_goes_wrong_is_counted_by_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(target=Target(needs_idle=False))
    for error, reason in (
        (NotAnswered("timeout", "no answer"), "timeout"),
        (ValueError("a defect"), "failed"),
    ):
        bench.answered()
        await settle()
        bench.target.running[0].set_exception(error)
        await settle()
        assert bench.count("dropped", reason=reason) == 1
    bench.answered()
    await settle()
    bench.target.running[0].set_result([CAT, CAT])
    await settle()
    assert bench.count("dropped", reason="failed") == 2
    assert "a copy of request id could not be answered" in caplog.text
    assert caplog.text.count("does not answer, live answers are as before") == 1
    assert bench.shadow.describe()["reason"] == "it answered 2 images of 1"


async def test_at_the_end_what_waits_is_dropped_and_nothing_comes_any_more() -> None:
    bench = Bench()
    bench.answered()
    await settle()
    await bench.shadow.close(seconds=1)
    bench.answered()
    await settle()
    assert bench.target.closed
    assert bench.count("dropped", reason="busy") == 1
    assert bench.clock.armed == []


async def test_the_end_waits_for_the_copy_that_runs() -> None:
    bench = Bench(target=Target(needs_idle=False))
    bench.answered()
    await settle()
    closing = asyncio.get_running_loop().create_task(bench.shadow.close(seconds=60))
    await settle()
    assert not closing.done()
    bench.target.running[0].set_result([CAT])
    await closing
    assert bench.count("compared", agrees="yes") == 1


async def test_a_copy_rests_after_its_run_so_that_few_live_requests_meet_one() -> None:
    bench = Bench()
    for _ in range(2):
        bench.answered()
    await settle()
    bench.clock.advance(MOMENT_SECONDS)
    await settle()
    bench.clock.advance(0.02)
    bench.target.running[0].set_result([CAT])
    await settle()
    bench.clock.advance(1.98 - 0.01)
    await settle()
    assert not bench.target.running
    bench.clock.advance(0.01 + 1e-9)
    await settle()
    assert len(bench.target.running) == 1


async def test_images_of_one_request_run_one_by_one_and_fit_one_by_one() -> None:
    bench = Bench(target=Target(one_by_one=True))
    bench.answered(images=4)
    await settle()
    assert bench.count("dropped", reason="full") == 1
    bench.clock.advance(MOMENT_SECONDS)
    for image in range(3):
        await settle()
        assert len(bench.target.running) == 1
        bench.target.running[0].set_result([Labelled(("dog",), (0.5,))])
        await settle()
        assert bench.shadow.disagreements[-1].image == image
    assert bench.metrics.trials.shadow_duration.labels("lite", "lite:2", "live")._sum.get() == 0, "not to compare"


async def test_a_defect_in_copying_is_logged_and_costs_only_the_copy(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(target=Target(defect=True))
    bench.answered()
    await settle()
    assert "request id could not be copied to the shadow" in caplog.text
    assert bench.count("dropped", reason="failed") == 1
