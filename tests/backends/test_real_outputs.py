"""What a graph really puts out is compared with what is declared, when it is loaded and not at every request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    IMAGE,
    OUTPUTS,
    PIXELS,
    Tensor,
    config,
    crop_graph,
    cutting_graph,
    miscounting_graph,
    reshaping_graph,
    sized_graph,
    write_model,
)
from topfive.backends.embedded import EmbeddedFactory
from topfive.backends.per_image import EmbeddedPerImageGraph
from topfive.backends.real_outputs import images_of_all_sizes
from topfive.ground.errors import ConfigurationError
from topfive.ground.types import TensorSpec
from topfive.machine.workers import WorkerPool

UINT8 = 2
OPEN: Tensor = ("pixels", UINT8, (-1, -1, -1, 3))


async def load(repository: Path, text: str, graph: bytes) -> EmbeddedPerImageGraph:
    write_model(repository, "crop", text, graph)
    model = read_repository(repository)["crop"]
    return await EmbeddedFactory(cores=1, alone_threads=1).per_image(model.config, model.graph_path(1))


async def refusal(repository: Path, text: str, graph: bytes) -> str:
    with pytest.raises(ConfigurationError) as refused:
        await load(repository, text, graph)
    return str(refused.value).replace(str(repository), "models")


async def warm_up(repository: Path, text: str, graph: bytes) -> None:
    write_model(repository, "m", text, graph)
    model = read_repository(repository)["m"]
    factory, pool = EmbeddedFactory(cores=1, alone_threads=1), WorkerPool(threads=1, name="compute")
    backend = await factory.batched(model.config, model.graph_path(1), pool)
    try:
        await backend.warm_up()
    finally:
        await backend.close()
        assert pool.close(timeout_seconds=30)


async def test_a_per_image_graph_that_makes_another_size_is_refused_with_the_size_of_the_image(tmp_path: Path) -> None:
    """The message says what to do."""
    said = await refusal(tmp_path, CROP_CONFIG, sized_graph(3, 2))
    assert "models/crop/1/model.onnx: of an image of 1 x 1 pixels (height x width) the graph makes 'pixels'" in said
    assert "of shape [1, 3, 2, 3], but config.pbtxt declares [1, 2, 2, 3], which the classifier takes" in said
    assert "as `topfive import MODEL.onnx --name NAME` does" in said


async def test_a_graph_that_only_cuts_is_refused_for_what_a_small_image_becomes(tmp_path: Path) -> None:
    said = await refusal(tmp_path, CROP_CONFIG, cutting_graph())
    assert "of an image of 1 x 1 pixels (height x width) the graph makes 'pixels' of shape [1, 1, 1, 3]" in said


async def test_a_graph_that_makes_the_declared_size_of_every_image_is_served(tmp_path: Path) -> None:
    graph = await load(tmp_path, CROP_CONFIG, crop_graph())
    assert graph.made == {(2, 2, 3)}


async def test_a_graph_that_fails_on_a_size_is_refused_with_that_size(tmp_path: Path) -> None:
    said = await refusal(tmp_path, CROP_CONFIG, reshaping_graph())
    assert "models/crop/1/model.onnx: the graph fails on an image of 1 x 1 pixels (height x width): " in said
    assert "build it anew so that it takes images of every size" in said


async def test_a_size_that_is_declared_open_may_be_any(tmp_path: Path) -> None:
    """What it was seen to be is told, for the classifier to be tried on."""
    graph = await load(tmp_path, config([IMAGE], [OPEN]), sized_graph(7, 9, pixels=OPEN))
    assert graph.made == {(7, 9, 3)}


def test_the_images_are_of_sizes_that_differ_as_photos_do() -> None:
    shapes = [images.shape for images in images_of_all_sizes(TensorSpec("image", "UINT8", (-1, -1, -1, 3)), most=8)]
    assert shapes[0] == (1, 1, 1, 3)
    assert any(height > 3 * width for _, height, width, _ in shapes)
    assert any(width > 3 * height for _, height, width, _ in shapes)
    assert shapes[-1][0] == 2, "two images of one call"


@pytest.mark.parametrize(
    ("shape", "most", "expected"),
    [
        ((-1, 2, 2, 3), 1, [(1, 2, 2, 3)]),
        ((-1, 2, 2, 3), 4, [(1, 2, 2, 3), (2, 2, 2, 3)]),
        ((-1, 5, -1, 3), 1, [(1, 5, 1, 3), (1, 5, 67, 3), (1, 5, 211, 3), (1, 5, 500, 3)]),
    ],
)
def test_a_side_that_is_declared_is_kept(shape: tuple[int, ...], most: int, expected: list[tuple[int, ...]]) -> None:
    images = list(images_of_all_sizes(TensorSpec("image", "UINT8", shape), most=most))
    assert [each.shape for each in images] == expected
    assert {each.dtype for each in images} == {np.dtype(np.uint8)}


async def test_a_classifier_of_fewer_labels_than_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        await warm_up(tmp_path, CLASSIFIER_CONFIG, miscounting_graph(4))
    said = str(refused.value)
    assert "m/1/model.onnx: for an image of 2 x 2 pixels (height x width) the graph puts out 'classes' of" in said
    assert "shape [1, 4], but config.pbtxt declares [1, 5]; declare dims: [ 4 ], in config.pbtxt" in said


async def test_a_classifier_that_answers_a_batch_with_one_row_is_refused(tmp_path: Path) -> None:
    """Alone each image would be answered, in company none."""
    with pytest.raises(ConfigurationError, match=r"for 2 images of .* shape \[1, 5\], but .* declares \[2, 5\]; build"):
        await warm_up(tmp_path, CLASSIFIER_CONFIG, miscounting_graph(one_row=True))


async def test_a_classifier_that_batches_nothing_need_not_be_able_to(tmp_path: Path) -> None:
    text = CLASSIFIER_CONFIG.replace("dynamic_batching { }", "")
    await warm_up(tmp_path, text, miscounting_graph(one_row=True))


async def test_a_number_of_labels_that_is_declared_open_may_be_any(tmp_path: Path) -> None:
    outputs = [(name, kind, (-1, -1)) for name, kind, _ in OUTPUTS]
    await warm_up(tmp_path, config([PIXELS], outputs), miscounting_graph(3, outputs=outputs))
