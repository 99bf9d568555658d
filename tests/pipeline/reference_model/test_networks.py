"""The graphs together answer what Pillow and PyTorch answer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.pipeline.conftest import REFERENCE_MODEL, needs_export
from tests.pipeline.graphs.networks import pictures
from topfive_pipeline.preprocessing import reference
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.running import Graph

pytestmark = pytest.mark.untraced

RULES = Preprocessing(resize="short-side", short_side=256, crop=(224, 224), scale=1.0, mean=(127.0,), std=(128.0,))


@pytest.fixture(scope="module")
def network() -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    needs_export()
    from topfive_pipeline.reference_model.networks import NETWORKS

    return NETWORKS[REFERENCE_MODEL].probabilities()


@pytest.mark.parametrize("name", ["astronaut", "cat", "coffee", "temple", "flower"])
@pytest.mark.parametrize("size", [None, (333, 500), (120, 90)], ids=["own size", "tall", "small"])
def test_same_answer_as_pillow_and_pytorch(
    name: str,
    size: tuple[int, int] | None,
    photos: dict[str, Image.Image],
    resize: Graph,
    classify: Graph,
    network: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
) -> None:
    """The whole path: the same most probable class, and each of the five probabilities within 0.002."""
    image = photos[name] if size is None else photos[name].resize(size)
    crop = reference.pixels(image, RULES)[np.newaxis]
    expected = network(reference.network_input(crop, RULES, layout="NCHW"))[0]

    _, probabilities, indices = classify.run(resize.run(np.asarray(image)[np.newaxis])[0])
    assert indices[0, 0] == expected.argmax()
    assert probabilities[0] == pytest.approx(expected[indices[0]], abs=2e-3)


def test_answers_have_the_declared_form(classify: Graph, repository: Path) -> None:
    """Five distinct classes per image, in descending order of probability, each with its name from labels.txt."""
    labels = (repository / REFERENCE_MODEL / "labels.txt").read_text(encoding="utf-8").splitlines()
    classes, probabilities, indices = classify.run(pictures(3, 224, 224))
    assert [array.shape for array in (classes, probabilities, indices)] == [(3, 5)] * 3
    assert [str(array.dtype) for array in (classes, probabilities, indices)] == ["object", "float32", "int64"]
    assert (np.diff(probabilities) <= 0).all()
    assert (probabilities > 0).all()
    assert (probabilities.sum(axis=1) <= 1 + 1e-6).all()
    for names, row in zip(classes, indices, strict=True):
        assert len(set(row)) == 5
        assert list(names) == [labels[index] for index in row]


def test_a_batch_answers_as_its_images_do(classify: Graph) -> None:
    """Who shares a batch does not change an answer, beyond the last bits."""
    images = pictures(6, 224, 224)
    _, together, indices = classify.run(images)
    for position, image in enumerate(images):
        _, alone, index = classify.run(image[np.newaxis])
        assert index[0].tolist() == indices[position].tolist()
        assert alone[0] == pytest.approx(together[position], abs=1e-6)
