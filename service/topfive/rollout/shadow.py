"""The shadow: gets copies of a share of the live requests after they were answered, and is compared with them.

What lives here: which requests are copied, when a copy runs, what is counted, and the last disagreements. What does
not: who answers the copy (`rollout.local`, `rollout.remote`), and the measures (`rollout.comparison`).

No live request waits for it, and none fails by it: a copy is made when the answer is on its way; what waits is bounded
in images, bytes and seconds; and a shadow that computes on this process' cores gets a copy, of one image, only while
the cores are idle, and seldom (`Idle`). What does not fit is dropped, and counted by its reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from topfive.ground.clock import Alarm, Clock
from topfive.ground.trial_rules import ShadowRule
from topfive.observe.trial_metrics import ShadowMetrics
from topfive.request.classifier import Asked, Classification
from topfive.rollout.comparison import Labelled, compare, labelled
from topfive.rollout.copies import Copies, Copy
from topfive.rollout.idle import Idle
from topfive.rollout.targets import NotAnswered, Target

logger = logging.getLogger("topfive")

_WAIT_SECONDS: Final = 5.0
"""How long a copy waits for its turn; after that it is dropped, for what it shows is not worth its memory."""
_KEPT: Final = 50
"""So many of the last disagreements are kept."""
_MAX_ID: Final = 128


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An image whose first labels differ: in which request, which image of it, and what both said. `at`: when."""

    request_id: str
    image: int
    live: Labelled
    shadow: Labelled
    at: float


class Shadow:
    """The shadow of one process; made and used on one event loop. `draw`: a number in [0, 1) for each live answer."""

    def __init__(
        self,
        rule: ShadowRule,
        target: Target,
        *,
        copies: Copies,
        idle: Idle,
        metrics: ShadowMetrics,
        clock: Clock,
        draw: Callable[[], float],
    ) -> None:
        self.rule = rule
        self.disagreements: deque[Disagreement] = deque(maxlen=_KEPT)
        self._target = target
        self._copies = copies
        self._idle = idle
        self._metrics = metrics
        self._clock = clock
        self._draw = draw
        self._alarm = Alarm(clock)
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False
        self._failure: str | None = None

    def saw(self, asked: Asked, result: Classification, request_id: str) -> None:
        """A request was answered by `result`: if it is the model's, and chosen, copy it when its answer is out."""
        model = result.model
        its_own = (model.name, model.version) == (self.rule.name, self.rule.version)
        if self._closed or model.name != self.rule.model or its_own or self._draw() >= self.rule.share:
            return
        asyncio.get_running_loop().call_soon(self._copy, asked, result, request_id)

    def ended(self) -> None:
        """A request has ended: in the next turn of the loop, when its answer is out, see whether a copy may run."""
        self._idle.ended(self._clock.now())
        if len(self._copies):
            asyncio.get_running_loop().call_soon(self._dispatch)

    def publish(self) -> None:
        """Set the gauges of what waits."""
        self._metrics.publish_waiting(images=self._copies.images, nbytes=self._copies.nbytes)

    async def close(self, *, seconds: float) -> None:
        """Take no more copies, and drop those that wait; what runs in this process ends with its batcher."""
        self._closed = True
        while len(self._copies):
            self._metrics.dropped("busy", len(self._copies.take().live))
        self._alarm.set(float("inf"), self._dispatch)
        await self._target.close(seconds=seconds)
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    def describe(self) -> dict[str, Any]:
        """What operators are told: the rule, the state, what waits here, and the last disagreements, newest first."""
        now = self._clock.now()
        return {
            "model": self.rule.model,
            "target": self.rule.target,
            "share": self.rule.share,
            "state": "answers" if self._failure is None else "does not answer",
            "reason": self._failure,
            "waiting_images": self._copies.images,
            "waiting_bytes": self._copies.nbytes,
            "disagreements": [_described(each, now) for each in reversed(self.disagreements)],
        }

    def _copy(self, asked: Asked, result: Classification, request_id: str) -> None:
        if self._closed:
            return
        try:
            self._put(asked, result, request_id[:_MAX_ID])
        except NotAnswered as error:
            self._drop(error.reason, len(result.rows), str(error))
        except Exception as error:  # a defect of ours
            logger.error("request %s could not be copied to the shadow", request_id, exc_info=error)
            self._drop("failed", len(result.rows), repr(error))
        self._dispatch()

    def _put(self, asked: Asked, result: Classification, request_id: str) -> None:
        loads = self._target.loads(asked, result)
        # Images that were answered together and are copied one by one have no times to compare, nor has the cache.
        is_alone = len(loads) == 1 and not result.has_hits
        seconds = self._target.live_seconds(result.timings) if is_alone else None
        expires = self._clock.now() + _WAIT_SECONDS
        first = 0
        for load in loads:
            rows = result.rows[first : first + load.images]
            live = [labelled(row) for row in rows]
            if not self._copies.put(Copy(request_id, live, seconds, load.content, load.nbytes, expires, first)):
                self._metrics.dropped("full", load.images)
            first += load.images

    def _dispatch(self) -> None:
        """Begin to answer the copies that may run now; called when a request or a copy has ended, and by the alarm."""
        if self._closed:
            return
        now = self._clock.now()
        for late in self._copies.expire(now):
            self._metrics.dropped("busy", len(late.live))
        wakes = self._idle.since() if self._target.needs_idle else now
        while len(self._copies) and self._target.free and wakes <= now:
            copy = self._copies.take()
            task = asyncio.get_running_loop().create_task(self._answer(copy, self._target.answer(copy.load)))
            self._running.add(task)
            task.add_done_callback(self._copy_ended)
        # Without a copy there is nothing to wake for; a copy that waits for the target goes on when that has ended.
        wakes = min(wakes, self._copies.next_expiry) if now < wakes else self._copies.next_expiry
        self._alarm.set(wakes if len(self._copies) else float("inf"), self._dispatch)

    def _copy_ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if len(self._copies):
            self._dispatch()

    async def _answer(self, copy: Copy, answering: Awaitable[tuple[Sequence[Labelled], float]]) -> None:
        began = self._clock.now()
        try:
            answers, seconds = await answering
            if len(answers) != len(copy.live):
                raise NotAnswered("failed", f"it answered {len(answers)} images of {len(copy.live)}")
        except NotAnswered as error:
            self._drop(error.reason, len(copy.live), str(error))
        except Exception as error:  # a defect of ours: it must not be lost with the task
            logger.error("a copy of request %s could not be answered", copy.request_id, exc_info=error)
            self._drop("failed", len(copy.live), repr(error))
        else:
            if copy.seconds is not None:
                self._metrics.took(live=copy.seconds, shadow=seconds)
            for image, live, shadow in zip(count(copy.first), copy.live, answers):
                self._compared(copy.request_id, image, live, shadow)
            if self._failure is not None:
                logger.info("the shadow %s answers again", self.rule.target)
                self._failure = None
        finally:
            self._idle.worked(began, self._clock.now())

    def _compared(self, request_id: str, image: int, live: Labelled, shadow: Labelled) -> None:
        found = compare(live, shadow)
        self._metrics.compared(agrees=found.agrees, change=found.change, overlap=found.overlap)
        if not found.agrees:
            self.disagreements.append(Disagreement(request_id, image, live, shadow, self._clock.now()))

    def _drop(self, reason: str, images: int, why: str) -> None:
        """Count images that the shadow did not answer; the first of a row is logged."""
        self._metrics.dropped(reason, images)
        if self._failure is None:
            logger.warning("the shadow %s does not answer, live answers are as before: %s", self.rule.target, why)
        self._failure = why


def _described(each: Disagreement, now: float) -> dict[str, Any]:
    return {
        "request_id": each.request_id,
        "image": each.image,
        "seconds_ago": round(now - each.at, 1),
        "live": list(_pairs(each.live)),
        "shadow": list(_pairs(each.shadow)),
    }


def _pairs(labels: Labelled) -> Iterator[dict[str, Any]]:
    for label, probability in zip(labels.labels, labels.probabilities, strict=True):
        yield {"label": label, "probability": round(probability, 6)}
