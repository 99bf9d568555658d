"""Which models are served under which names and versions, and which repositories are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.testkit.fakes import Inside
from tests.testkit.model_bench import ModelBench
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    classifier_graph,
    ensemble_config,
    write_model,
    write_tiny_repository,
    write_version,
)
from topfive.batching.items import QueueLimits
from topfive.ground.errors import ConfigurationError, QueueFull, TooLarge, UnknownModel
from topfive.models.served import Models, ServedModel


async def load(repository: Path) -> Models:
    return (await ModelBench(repository).start()).models


@pytest.fixture
async def tiny(tiny_repository: Path) -> AsyncIterator[Models]:
    """The tiny ensemble."""
    bench = await ModelBench(tiny_repository).start()
    yield bench.models
    await bench.close()


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


async def test_a_model_that_only_prepares_is_not_called(tiny: Models) -> None:
    """The message says what to call instead."""
    with pytest.raises(UnknownModel, match=r"'crop' only runs as a step of .* 'tiny'; served are: tiny"):
        tiny.find("crop")


async def test_a_model_that_is_not_there_is_unknown(tiny: Models) -> None:
    with pytest.raises(UnknownModel, match="'cat' is not served; served are: tiny"):
        tiny.find("cat")


def test_where_nothing_is_served_that_is_said() -> None:
    for name in (None, "tiny"):
        with pytest.raises(UnknownModel, match="no model is served"):
            Models({}, {}).find(name)


async def test_all_that_is_served_is_listed(tiny: Models) -> None:
    assert [(model.name, model.version) for model in tiny] == [("classify", 1), ("tiny", 1)]


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


async def test_the_choice_offered_leaves_the_steps_of_ensembles_out(tmp_path: Path) -> None:
    """Nobody who has a photo means them; the message names the setting that ends the choosing."""
    write_model(write_tiny_repository(tmp_path), "other", ensemble_config())
    models = await load(tmp_path)
    with pytest.raises(UnknownModel, match=r"choose one with \?model=: other, tiny; .*TOPFIVE_DEFAULT_MODEL"):
        models.find()
    assert models.find("classify").name == "classify"  # who names one is still answered


async def test_the_default_model_is_the_one_that_is_set(tmp_path: Path) -> None:
    """A version is then one of it; where it is not served, that is said, with the others to choose from."""
    write_model(write_tiny_repository(tmp_path), "other", ensemble_config())
    bench = await ModelBench(tmp_path, default_model="other").start()
    assert bench.models.find().name == "other"
    assert bench.models.find(None, 1).name == "other"
    await bench.control.unload("other")
    with pytest.raises(UnknownModel, match=r"default model 'other' \(TOPFIVE_DEFAULT_MODEL\) is not served.*: tiny$"):
        bench.models.find()
    assert bench.models.find("tiny").name == "tiny"
    await bench.close()


async def test_an_ensemble_has_the_version_of_its_classifier(tmp_path: Path) -> None:
    """For that is who answers; the number of its own folder means nothing."""
    write_tiny_repository(tmp_path)
    write_version(tmp_path, "classify", 5, classifier_graph(prefix="five"))
    models = await load(tmp_path)
    assert models.find("tiny").version == models.find("tiny", 5).version == 5
    with pytest.raises(UnknownModel, match="version 1 of model 'tiny' is not served; served are: 5"):
        models.find("tiny", 1)


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
    models = await load(tmp_path)
    assert [await label(models.find("m", version), 7) for version in (1, 2)] == ["value 7", "two 7"]


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
        with Inside(batcher) as here:
            here.extend(most)
            with pytest.raises(QueueFull):
                batcher.room.check(1)
        with pytest.raises(TooLarge):
            batcher.room.check(most + 1)


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


async def test_the_timeout_policy_comes_from_the_configuration(tmp_path: Path) -> None:
    """An ensemble has that of its classifier, in whose queue its images wait."""
    policy = "default_queue_policy { default_timeout_microseconds: 1500000 allow_timeout_override: true }"
    batching = f"dynamic_batching {{ {policy} }}"
    write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG.replace(BATCHING, batching))
    models = await load(tmp_path)
    for name in ("tiny", "classify"):
        model = models.find(name)
        assert (model.queue_timeout_seconds, model.allow_timeout_override) == (1.5, True)
