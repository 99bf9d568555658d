"""What the tests of optimising share: an imported network, what is counted of it, and a bench of trials."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.pipeline.optimising import networks
from topfive.machine.cpu_features import dot_products_of_bytes
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.optimising import calibration
from topfive_pipeline.optimising.bench import Bench, Pictures
from topfive_pipeline.optimising.calibrated import Calibrated, calibrate
from topfive_pipeline.optimising.calibration import METHODS, Histogram
from topfive_pipeline.optimising.machine import kinds
from topfive_pipeline.optimising.measuring import scores_of
from topfive_pipeline.optimising.source import Source, prepare
from topfive_pipeline.proof.photos import Photo


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the model `pets`."""
    return networks.repository(tmp_path_factory.mktemp("pets") / "made")


@pytest.fixture(scope="session")
def source(pets: Path) -> Source:
    return prepare(graph_path(pets, "pets_classify", 1))


@pytest.fixture(scope="session")
def histograms(source: Source) -> dict[str, Histogram]:
    return calibration.collect(source, networks.crops(24), progress=lambda *_: None)


@pytest.fixture(scope="session")
def calibrated(source: Source) -> Calibrated:
    every = dict.fromkeys([*kinds(("avx512_vnni",), machine="x86_64"), *kinds(dot_products_of_bytes())])
    return calibrate(source, networks.crops(24), methods=METHODS, kinds=tuple(every), progress=lambda _: None)


@pytest.fixture
def bench(source: Source, calibrated: Calibrated) -> Bench:
    crops = networks.crops(24, seed=6)
    held = Pictures([Photo(Path(f"{number}.png")) for number in range(24)], crops, None)
    reference = scores_of(source.model, source.scores, crops)
    return Bench(source, calibrated, held, reference, time.monotonic() + 60, lambda _: None)


@pytest.fixture(scope="session")
def labels(source: Source) -> NDArray[np.int64]:
    """What the network itself says of the bench's photos: so it is always right."""
    found: np.ndarray[tuple[int], np.dtype[np.int64]]
    found = scores_of(source.model, source.scores, networks.crops(24, seed=6)).argmax(axis=1)
    return found
