"""Which models are served under which names and versions, and which repositories are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.backends.embedded import EmbeddedFactory
from service.backends.null import NullFactory
from service.batching_queue import QueueLimits
from service.clock import MonotonicClock
from service.errors import ConfigurationError, NotReady, QueueFull, TooLarge, UnknownModel
from service.loading import Loader, QueueDefaults
from service.metrics import Metrics
from service.models import Models, ServedModel
from service.repository import read_repository
from service.workers import WorkerPool
from tests.fakes import settle
from tests.tiny_models import (
    BATCHING,
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
)


async def load(repository: Path, *, embedded: bool = False, metrics: Metrics | None = None) -> Models:
    loader = Loader(
        factory=EmbeddedFactory(cores=2, alone_threads=0) if embedded else NullFactory(),
        pool=WorkerPool(threads=1, name="compute"),
        defaults=QueueDefaults(max_items=77, max_bytes=1 << 20, max_wait_seconds=0.75),
        clock=MonotonicClock(),
        metrics=metrics or Metrics(shared_folder=None),
        on_failure=lambda error: pytest.fail(f"the batcher failed: {error}"),
        on_batch_failure=lambda model, size, error: pytest.fail(f"a batch failed: {error}"),
    )
    return await loader.load(read_repository(repository))


@pytest.fixture
async def tiny(tiny_repository: Path) -> AsyncIterator[Models]:
    """The tiny ensemble, really run."""
    models = await load(tiny_repository, embedded=True)
    yield models
    await models.drain()


async def label(model: ServedModel, value: int) -> str:
    """What `model` says of an image of one value."""
    image = np.full((1, 5, 7, 3), value, np.uint8)
    pixels = image[:, :2, :2] if model.per_image is None else model.per_image(image)
    (outcome,) = await model.batcher.submit(list(pixels))
    return str(outcome.row["classes"][0])


async def test_an_ensemble_runs_its_two_graphs_in_a_row(tiny: Models) -> None:
    model = tiny.find("tiny")
    assert model.per_image is not None
    assert (model.name, model.version, model.image.shape) == ("tiny", 1, (-1, -1, -1, 3))
    assert await label(model, 42) == "value 42"


async def test_an_ensemble_shares_the_queue_of_its_classifier(tiny: Models) -> None:
    """So that requests to either are batched together."""
    assert tiny.find("tiny").batcher is tiny.find("classify").batcher


async def test_a_model_that_only_prepares_is_not_served(tiny: Models) -> None:
    with pytest.raises(UnknownModel, match="'crop' is not served; served are: classify, tiny"):
        tiny.find("crop")


async def test_the_only_ensemble_is_the_default(tiny: Models) -> None:
    assert tiny.find() is tiny.find("tiny") is tiny.find(None, 1)


async def test_the_only_model_is_the_default(tmp_path: Path) -> None:
    write_model(tmp_path, "classify", CLASSIFIER_CONFIG, classifier_graph())
    assert (await load(tmp_path)).find().name == "classify"


@pytest.mark.parametrize("ensembles", [0, 2])
async def test_among_several_the_client_must_choose(tmp_path: Path, ensembles: int) -> None:
    """The message lists them."""
    write_tiny_repository(tmp_path)
    if ensembles:
        write_model(tmp_path, "other", ensemble_config())
    else:
        for unused in ("tiny", "crop"):
            (tmp_path / unused / "config.pbtxt").unlink()
        write_model(tmp_path, "other", CLASSIFIER_CONFIG, classifier_graph())
    with pytest.raises(UnknownModel, match=r"choose one with \?model=: .*other"):
        (await load(tmp_path)).find()


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", [3]),
        ("version_policy { latest { } }", [3]),
        ("version_policy { latest { num_versions: 2 } }", [2, 3]),
        ("version_policy { specific { versions: [ 1, 3 ] } }", [1, 3]),
        ("version_policy { specific { versions: [ 2 ] } }", [2]),
        ("version_policy { all { } }", [1, 2, 3]),
    ],
)
async def test_the_version_policy_chooses_the_versions(tmp_path: Path, policy: str, served: list[int]) -> None:
    """Without a version the highest that is served answers; one that is not served is unknown."""
    write_model(tmp_path, "m", CLASSIFIER_CONFIG + policy, classifier_graph(), versions=[1, 2, 3])
    models = await load(tmp_path)
    assert models.find("m").version == served[-1]
    for version in (1, 2, 3, 4):
        if version in served:
            assert models.find("m", version).version == version
        else:
            listed = ", ".join(map(str, served))
            with pytest.raises(UnknownModel, match=f"version {version} of model 'm' is not served.*: {listed}$"):
                models.find("m", version)


async def test_versions_are_different_graphs(tmp_path: Path) -> None:
    all_versions = CLASSIFIER_CONFIG + "version_policy { all { } }"
    folder = write_model(tmp_path, "m", all_versions, classifier_graph(), versions=[1, 2])
    (folder / "2" / "model.onnx").write_bytes(classifier_graph(prefix="two"))
    models = await load(tmp_path, embedded=True)
    assert [await label(models.find("m", version), 7) for version in (1, 2)] == ["value 7", "two 7"]
    await models.drain()


async def test_an_ensemble_step_may_name_a_version(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path)
    all_versions = CLASSIFIER_CONFIG + "version_policy { all { } }"
    write_model(tmp_path, "classify", all_versions, classifier_graph(), versions=[2])
    text = ensemble_config().replace('"classify" model_version: -1', '"classify" model_version: 1')
    write_model(tmp_path, "tiny", text)
    models = await load(tmp_path)
    assert models.find("tiny").batcher is models.find("classify", 1).batcher
    write_model(tmp_path, "classify", CLASSIFIER_CONFIG, classifier_graph(), versions=[2])
    with pytest.raises(ConfigurationError, match=r"tiny: a step names version 1.*version_policy"):
        await load(tmp_path)


async def test_the_queue_is_bounded_by_the_configuration_or_by_the_settings(tmp_path: Path) -> None:
    bounded = CLASSIFIER_CONFIG.replace(BATCHING, "dynamic_batching { default_queue_policy { max_queue_size: 5 } }")
    write_model(tmp_path, "bounded", bounded, classifier_graph())
    write_model(tmp_path, "other", CLASSIFIER_CONFIG, classifier_graph())
    models = await load(tmp_path)
    for name, most in (("bounded", 5), ("other", 77)):
        batcher = models.find(name).batcher
        with batcher.reserve() as reservation:
            reservation.extend(most)
            with pytest.raises(QueueFull):
                batcher.check_room(1)
        with pytest.raises(TooLarge):
            batcher.check_room(most + 1)


async def test_the_rules_of_the_queue_come_from_the_configuration_and_the_settings(tmp_path: Path) -> None:
    """What may be refused for its wait depends on the size that the graph may be given, not on the size that pays."""
    batching = "dynamic_batching { priority_levels: 3 default_priority_level: 2 max_queue_delay_microseconds: 1500000 }"
    write_model(tmp_path, "m", CLASSIFIER_CONFIG.replace(BATCHING, batching), classifier_graph())
    write_model(tmp_path, "unbatched", CLASSIFIER_CONFIG.replace(BATCHING, ""), classifier_graph())
    models = await load(tmp_path)
    rules = QueueLimits(
        max_batch_size=8,
        max_items=77,
        max_bytes=1 << 20,
        max_queue_delay_seconds=1.5,
        graph_batch_size=8,
        max_wait_seconds=0.75,
        priority_levels=3,
        default_priority_level=2,
    )
    assert models.find("m").batcher._queue.limits == rules
    assert models.find("unbatched").batcher._queue.limits == replace(
        rules, max_batch_size=1, max_queue_delay_seconds=0.0, priority_levels=0, default_priority_level=0
    )


async def test_the_versions_of_a_model_share_its_queue_gauges(tmp_path: Path) -> None:
    """What waits for either counts."""
    text = CLASSIFIER_CONFIG.replace(BATCHING, "dynamic_batching { max_queue_delay_microseconds: 60000000 }")
    write_model(tmp_path, "m", text + "version_policy { all { } }", classifier_graph(), versions=[1, 2])
    metrics = Metrics(shared_folder=None)
    models = await load(tmp_path, metrics=metrics)
    image = np.zeros((2, 2, 3), np.uint8)
    requests = [asyncio.ensure_future(models.find("m", version).batcher.submit([image])) for version in (1, 2, 2)]
    await settle()
    models.publish()
    assert b'topfive_queue_items{model="m"} 3.0' in metrics.exposition()
    assert b'topfive_queue_bytes{model="m"} 36.0' in metrics.exposition()
    await models.drain()
    await asyncio.gather(*requests)


async def test_the_timeout_policy_comes_from_the_configuration(tmp_path: Path) -> None:
    """An ensemble has that of its classifier, in whose queue its images wait."""
    policy = "default_queue_policy { default_timeout_microseconds: 1500000 allow_timeout_override: true }"
    batching = f"dynamic_batching {{ {policy} }}"
    write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG.replace(BATCHING, batching))
    models = await load(tmp_path)
    for name in ("tiny", "classify"):
        model = models.find(name)
        assert (model.queue_timeout_seconds, model.allow_timeout_override) == (1.5, True)


async def test_drain_takes_nothing_more(tiny_repository: Path) -> None:
    models = await load(tiny_repository, embedded=True)
    model = models.find("classify")
    assert await label(model, 1) == "value 1"
    await models.drain()
    with pytest.raises(NotReady):
        await label(model, 1)


# What is refused. Each `wrong` is a text of the ensemble's config.pbtxt and what to put in its place.

SECOND_STEP = """step { model_name: "classify" model_version: -1"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('model_name: "crop"', 'model_name: "absent"'),
        ('model_name: "classify"', 'model_name: "absent"'),
        ('model_name: "crop"', 'model_name: "classify"'),
        ('model_name: "classify"', 'model_name: "crop"'),
        ('input_map { key: "image" value: "image" }', 'input_map { key: "image" value: "picture" }'),
        ('input_map { key: "image" value: "image" }', 'input_map { key: "picture" value: "image" }'),
        ('output_map { key: "pixels" value: "pixels" }', 'output_map { key: "crops" value: "pixels" }'),
        ('output_map { key: "pixels" value: "pixels" }', 'output_map { key: "pixels" value: "crops" }'),
        ('input_map { key: "pixels" value: "pixels" }', 'input_map { key: "crops" value: "pixels" }'),
        ('input_map { key: "pixels" value: "pixels" }', 'input_map { key: "pixels" value: "image" }'),
        ('output_map { key: "indices" value: "indices" }', ""),
        ('output_map { key: "indices" value: "indices" }', 'output_map { key: "indices" value: "numbers" }'),
        (SECOND_STEP, f'step {{ model_name: "crop" model_version: -1 }} {SECOND_STEP}'),
        ('"image" data_type: TYPE_UINT8', '"image" data_type: TYPE_FP32'),
        ("dims: [ -1, -1, 3 ]", "dims: [ -1, -1 ]"),
        ("dims: [ -1, -1, 3 ]", "dims: [ -1, -1, 1 ]"),
    ],
)
async def test_an_ensemble_wired_wrongly_is_refused_by_name(tmp_path: Path, right: str, wrong: str) -> None:
    write_tiny_repository(tmp_path)
    text = ensemble_config()
    assert right in text
    write_model(tmp_path, "tiny", text.replace(right, wrong, 1))
    with pytest.raises(ConfigurationError, match="tiny"):
        await load(tmp_path)


async def test_an_ensemble_whose_steps_do_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    """Crops of one size into a classifier of another would fail on every request."""
    write_tiny_repository(tmp_path)
    pixels = ("pixels", PIXELS[1], (-1, 3, 3, 3))
    write_model(tmp_path, "crop", config([IMAGE], [pixels]), crop_graph(pixels=pixels))
    with pytest.raises(ConfigurationError, match="tiny"):
        await load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        CROP_CONFIG,
        config([PIXELS], OUTPUTS[:2], BATCHING),
        config([PIXELS], [("scores", 1, (-1, 1000))], BATCHING),
        config([PIXELS], [("classes", 1, (-1, 5)), *OUTPUTS[1:]], BATCHING),
    ],
    ids=["only a crop", "no indices", "scores", "classes as numbers"],
)
async def test_a_repository_without_a_classifier_is_refused(tmp_path: Path, text: str) -> None:
    """Rather than become ready and serve nothing; the message says what a classifier puts out."""
    write_model(tmp_path, "m", text, crop_graph())
    with pytest.raises(ConfigurationError, match="classes"):
        await load(tmp_path)


@pytest.mark.parametrize(
    "image",
    [
        ("pixels", 1, (-1, 2, 2, 3)),
        ("pixels", 2, (-1, 3, 2, 2)),
        ("pixels", 2, (-1, 12)),
    ],
    ids=["floats", "channels first", "flat"],
)
async def test_a_classifier_must_take_uint8_images(tmp_path: Path, image: tuple[str, int, tuple[int, ...]]) -> None:
    write_model(tmp_path, "m", config([image], OUTPUTS, BATCHING), classifier_graph())
    with pytest.raises(ConfigurationError, match=r"'m'.*TYPE_UINT8"):
        await load(tmp_path)


async def test_a_classifier_must_take_one_input(tmp_path: Path) -> None:
    write_model(tmp_path, "m", config([PIXELS, IMAGE], OUTPUTS, BATCHING), classifier_graph())
    with pytest.raises(ConfigurationError, match=r"'m'.*one input"):
        await load(tmp_path)
