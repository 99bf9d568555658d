"""Where the size of the crop is left open, the steps of an ensemble are tried together before they are served."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.model_bench import ModelBench
from tests.testkit.tiny_models import (
    BATCHING,
    IMAGE,
    OUTPUTS,
    Tensor,
    classifier_graph,
    config,
    ensemble_config,
    flat_classifier_graph,
    sized_graph,
    write_model,
    write_version,
)
from topfive.ground.errors import BackendUnreachable, ConfigurationError

OPEN: Tensor = ("pixels", 2, (-1, -1, -1, 3))
CROP_CONFIG = config([IMAGE], [OPEN])
CLASSIFIER_CONFIG = config([OPEN], OUTPUTS, BATCHING)
WARM = 256
"""The side of the images that warm up a classifier whose size is open."""


def write(repository: Path, *, side: int, classifier: bytes) -> Path:
    write_model(repository, "crop", CROP_CONFIG, sized_graph(side, side, pixels=OPEN))
    write_model(repository, "classify", CLASSIFIER_CONFIG, classifier)
    write_model(repository, "tiny", ensemble_config())
    return repository


async def test_steps_that_fit_are_served(tmp_path: Path) -> None:
    """A classifier of any size, and one of the very size."""
    for name, side, classifier in (("any", 3, classifier_graph(OPEN)), ("one", WARM, flat_classifier_graph(WARM))):
        bench = await ModelBench(write(tmp_path / name, side=side, classifier=classifier)).start()
        assert await bench.label(7, "tiny") == "value 7"
        await bench.close()


async def test_a_classifier_that_fails_on_what_its_ensemble_makes_is_refused(tmp_path: Path) -> None:
    """Rather than be ready and fail on every request."""
    bench = ModelBench(write(tmp_path, side=224, classifier=flat_classifier_graph(WARM)))
    with pytest.raises(ConfigurationError) as refused:
        await bench.start()
    said = str(refused.value)
    assert f"{tmp_path / 'tiny'}: 'crop' makes 224 x 224 pixels of an image, on which the graph of 'classify'" in said
    assert "declare its dims instead of -1" in said


async def test_what_did_not_fit_is_not_loaded_again_until_a_step_changes(tmp_path: Path) -> None:
    bench = await ModelBench(write(tmp_path, side=WARM, classifier=flat_classifier_graph(WARM)), "poll").start()
    write_version(tmp_path, "crop", 1, sized_graph(224, 224, pixels=OPEN))
    for _ in range(3):
        await bench.control.poll()
    assert bench.factory.loaded == ["crop/1"]
    assert "'crop' makes 224 x 224 pixels" in bench.reason("crop")
    assert await bench.label(7, "tiny") == "value 7"
    write_version(tmp_path, "classify", 2, classifier_graph(OPEN, prefix="two"))
    await bench.control.poll()
    assert await bench.label(7, "tiny") == "two 7"
    await bench.close()


async def test_what_did_not_fit_is_tried_again_when_asked_again(tmp_path: Path) -> None:
    bench = await ModelBench(write(tmp_path, side=WARM, classifier=flat_classifier_graph(WARM))).start()
    write_version(tmp_path, "crop", 1, sized_graph(224, 224, pixels=OPEN))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="224 x 224"):
            await bench.control.load("tiny")
    assert bench.factory.loaded == ["crop/1"] * 2
    await bench.close()


async def test_a_backend_that_is_away_does_not_condemn_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await ModelBench(write(tmp_path, side=WARM, classifier=flat_classifier_graph(WARM))).start()

    def away(*_: object, **__: object) -> None:
        raise BackendUnreachable("it is away")

    write_version(tmp_path, "crop", 2, sized_graph(224, 224, pixels=OPEN))
    with monkeypatch.context() as patch:
        patch.setattr(bench.unit("classify").backend, "infer", away)
        with pytest.raises(BackendUnreachable):
            await bench.control.load("tiny")
    with pytest.raises(ConfigurationError, match="224 x 224"):
        await bench.control.load("tiny")
    await bench.close()
