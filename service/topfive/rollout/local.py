"""A shadow in this process: another version, or another model, that is served here too.

What lives here: how a copy is run by its batcher, one image at a time and with the threads of one slot only. What does
not: when (`rollout.shadow`). It passes no admission and counts in no model's statistics, since no client waits for it;
what bounds it is that one image runs at a time, and that what waits is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from topfive.backends.base import Tensor
from topfive.batching.batch import Payload, Unprepared
from topfive.ground.errors import TopfiveError, UnknownModel
from topfive.ground.trial_rules import ShadowRule
from topfive.ground.types import Timings
from topfive.images.files.limits import Buffer
from topfive.models.served import Models, ServedModel
from topfive.request.classifier import Asked, Classification
from topfive.request.preparing.payloads import Payloads
from topfive.request.sources import Source, each_of
from topfive.rollout.comparison import Labelled, labelled
from topfive.rollout.targets import Load, NotAnswered, nbytes_kept

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class _Body:
    """An image as it came, of a request whose live model prepares it in another way than the shadow."""

    body: Buffer
    source: Source


class LocalTarget:
    """Runs copies on the model of `rule`, which `models` holds while it is served."""

    needs_idle = True

    def __init__(self, rule: ShadowRule, *, models: Callable[[], Models], payloads: Callable[[], Payloads]) -> None:
        self._rule = rule
        self._models = models
        self._payloads = payloads
        self._running = False

    @property
    def free(self) -> bool:
        """See `Target`: one copy at a time."""
        return not self._running

    def loads(self, asked: Asked, result: Classification) -> Sequence[Load]:
        """See `Target`: image by image; a crop, if there is one and both make the same, else the image as it came."""
        alike = _prepares_alike(result.model, self._find())
        images = zip(result.payloads, each_of(asked.body, asked.source), strict=True)
        return [
            Load(payload, nbytes_kept([_pixels(payload)]), 1)
            if alike and payload is not None
            else Load(_Body(image, source), nbytes_kept([image]), 1)
            for payload, (image, source) in images
        ]

    def live_seconds(self, timings: Timings) -> float:
        """See `Target`: the inference, as the shadow may have found its images prepared."""
        return timings.inference_seconds

    def answer(self, content: Payload | _Body) -> Coroutine[Any, Any, tuple[Sequence[Labelled], float]]:
        """See `Target`."""
        self._running = True
        return self._answer(content)

    async def _answer(self, content: Payload | _Body) -> tuple[Sequence[Labelled], float]:
        try:
            model = self._find()
            model.batcher.room.enter()
            try:
                payloads = await self._prepared(model, content) if isinstance(content, _Body) else [content]
                outcomes = await model.batcher.submit(payloads, in_background=True)
            finally:
                model.batcher.room.leave()
        except TopfiveError as error:
            raise NotAnswered("failed", f"{error.code}: {error.logged}") from error
        finally:
            self._running = False
        return [labelled(outcome.row) for outcome in outcomes], max(each.inference_seconds for each in outcomes)

    async def close(self, *, seconds: float) -> None:
        """See `Target`: what runs ends with its batcher."""

    async def _prepared(self, model: ServedModel, content: _Body) -> Sequence[Payload]:
        payloads = self._payloads()
        prices = payloads.prices(model, content.body, content.source)
        prepared = await payloads.prepare(
            model, content.body, content.source, prices, deadline=_NEVER, abandoned=bool, in_background=True
        )
        return prepared.payloads

    def _find(self) -> ServedModel:
        try:
            return self._models().find(self._rule.name, self._rule.version)
        except UnknownModel as error:
            raise NotAnswered("absent", str(error)) from error
        except TopfiveError as error:
            raise NotAnswered("failed", str(error)) from error


def _pixels(payload: Payload) -> Tensor:
    return payload.pixels if isinstance(payload, Unprepared) else payload


def _prepares_alike(live: ServedModel, shadow: ServedModel) -> bool:
    """Whether what was prepared for `live` is what would be prepared for `shadow`."""
    same_rules = (live.crop_shape, live.jpeg_short_side) == (shadow.crop_shape, shadow.jpeg_short_side)
    return live.per_image is shadow.per_image and live.image.shape == shadow.image.shape and same_rules
