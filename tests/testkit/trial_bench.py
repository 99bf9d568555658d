"""A service without its ports, on the tiny models in three versions, of which some are on trial.

Version 1 labels as the tiny classifier does; version 2 calls the same values "two"; version 3 calls them "three", and
fails on images whose brightest value is above 95.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.testkit.model_bench import until
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, classifier_graph, write_tiny_repository, write_version
from topfive.app import create_serving
from topfive.config.settings import Settings
from topfive.images.decoding import RawShape
from topfive.request.admission import Entry
from topfive.request.classifier import Announced, Classification
from topfive.request.sources import Body, Source
from topfive.serving.serving import Serving

SHAPE: Final = RawShape(2, 2, 1)
FAILS: Final = 200
"""A value on which version 3 fails, and the others do not."""


def write_versions(repository: Path) -> Path:
    """The ensemble `tiny`, whose classifier is served in three versions."""
    write_tiny_repository(repository, classify_config=CLASSIFIER_CONFIG + "version_policy { all { } }\n")
    write_version(repository, "classify", 2, classifier_graph(prefix="two"))
    write_version(repository, "classify", 3, classifier_graph(prefix="three", labels=100))
    return repository


@dataclass
class Asker:
    """A request that says who it is."""

    request_id: str = "one"
    arm: str | None = None
    user: bytes | None = None
    copied: bool = False

    def header(self, name: str) -> bytes | None:
        return {"x-user": self.user, "x-topfive-copy": b"topfive" if self.copied else None}.get(name)


@dataclass
class Images:
    """A door to images that need not be received, and that says itself what it asks for."""

    body: Body
    source: Source = SHAPE
    timeout_seconds: float | None = None
    priority: int = 0
    copied_bytes: int = 0
    light: bool = True

    async def receive(self, entry: Entry) -> None:
        entry.charge(len(self.body))

    def is_light(self) -> bool:
        return self.light

    def understand(self) -> Images:
        return self

    def is_abandoned(self) -> bool:
        return False


def raw(value: int, images: int = 1) -> Images:
    """Images whose brightest value is `value`."""
    return Images(bytes([value]) * (SHAPE.nbytes * images), RawShape(2, 2, images))


@dataclass
class TrialBench:
    """The service, and how it is asked."""

    serving: Serving

    async def ask(
        self, door: Images, asker: Asker | None = None, *, model: str = "tiny", version: int | None = None
    ) -> Classification:
        """The answer to one request."""
        asker = asker or Asker()
        trials, clock = self.serving.trials, self.serving.clock
        found = trials.find(model, version, asker)
        _, answer = await trials.answer(Announced(found, clock.now(), nbytes=len(door.body)), door, asker)
        return answer

    async def label(self, value: int, asker: Asker | None = None, **named: Any) -> str:
        """The first label of an image."""
        answer = await self.ask(raw(value), asker, **named)
        return str(answer.rows[0]["classes"][0])

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry `labels`."""
        families = text_string_to_metric_families(self.serving.metrics.exposition().decode())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    async def until(self, name: str, value: float, **labels: str) -> None:
        """Wait until a metric has come to `value`."""
        await until(lambda: self.metric(name, **labels) >= value)


@asynccontextmanager
async def trying(repository: Path, **settings: Any) -> AsyncIterator[TrialBench]:
    """A service that is ready, with these settings."""
    serving = create_serving(Settings(model_repository=repository, grpc=False, **settings), on_fatal=lambda: None)
    serving.start()
    await serving.wait_until_loaded()
    assert serving.failure is None
    try:
        yield TrialBench(serving)
    finally:
        await serving.stop()
        assert serving.admission.requests == serving.admission.nbytes == 0
