"""What most tests share: one running service on the real models, and real photos."""

from __future__ import annotations

import gc
import importlib
import io
import os
import pkgutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from coverage import Coverage
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import topfive
from tests.testkit.photos import sample
from tests.testkit.serving_process import READY, ServingProcess, serving
from tests.testkit.tiny_models import write_tiny_repository

settings.register_profile("topfive", deadline=None)  # no unit test asserts a time
settings.load_profile("topfive")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect in half the time: without looking for garbage, of which there is hardly any yet, and without coverage.

    What coverage would find is what importing `service/` runs, so this is imported first.
    """
    if session.config.getoption("dist", "no") != "no":  # others collect
        return (yield)
    gc.disable()
    if Coverage.current():
        for module in pkgutil.walk_packages(topfive.__path__, "topfive."):
            with suppress(ImportError):  # of an extra that is not installed; tests say so
                importlib.import_module(module.name)
    with _unmeasured():
        return (yield)


def pytest_collection_finish() -> None:
    """What has been imported stays to the end: without this, each collection walks all of it, as each swap asks for."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run what is marked `untraced` without coverage, and the processes that a test starts, unless it is `measured`.

    To measure a process doubles what it takes to start it, and most tests' processes do what the session's do.
    """
    handed_down = os.environ.pop(_MEASURES_PROCESSES, None)
    if handed_down is not None:
        _measured[_MEASURES_PROCESSES] = handed_down
        if item.get_closest_marker("measured"):
            os.environ.update(_measured)
    try:
        with _unmeasured() if item.get_closest_marker("untraced") else nullcontext():
            return (yield)
    finally:
        if handed_down is not None:
            os.environ[_MEASURES_PROCESSES] = handed_down


@contextmanager
def _unmeasured() -> Iterator[None]:
    """Meanwhile coverage is off in this process."""
    stopped = []
    while measured := Coverage.current():  # a process of pytest-xdist has two: one of its own, one of a subprocess
        measured.stop()
        stopped.append(measured)
    try:
        yield
    finally:
        for measured in reversed(stopped):
            measured.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `untraced` what tests other folders than `service/`, or all of it with a browser, Triton or load.

    And `measured` those whose processes do what no other test's do. The longest files come first: whoever of several
    began one last would keep the others waiting.
    """
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    for item in items:
        parts = set(item.path.relative_to(_TESTS).parts)
        if _UNTRACED & parts:
            item.add_marker(pytest.mark.untraced)
        if _MEASURED & parts:
            item.add_marker(pytest.mark.measured)


_TESTS: Final = Path(__file__).parent
_UNTRACED: Final = {
    *("benchmarks", "deploy", "loadgen", "loadtests", "pipeline", "triton"),
    *("test_page.py", "test_page_photos.py", "test_prefix.py"),
}
_LONGEST: Final = {
    *("test_main.py", "test_run.py", "test_locustfile.py", "test_contract.py", "test_outages.py", "test_page.py"),
    *("test_openapi.py", "test_supervisor.py", "test_export.py", "test_rest.py", "test_gating.py", "test_spans.py"),
}
_MEASURED: Final = {"test_authentication.py", "test_cors.py", "test_spans.py", "test_tls.py"}
_MEASURES_PROCESSES: Final = "COVERAGE_PROCESS_CONFIG"
"""By which coverage.py tells processes that are started to measure themselves."""
_measured: Final[dict[str, str]] = {}
"""The environment of a process that is to measure itself; empty without coverage."""

Photo = NDArray[np.uint8]
Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def service() -> Iterator[ServingProcess]:
    """The service as `make run` starts it, ready."""
    with serving(environment=_measured, cold=True) as process:
        yield process


@pytest.fixture(scope="session")
def several() -> Iterator[ServingProcess]:
    """A service of two worker processes, both ready; it ends well."""
    with serving("--backend", "null", "--workers", "2", environment=_measured) as process:
        process.wait_for_log(READY, count=2)
        yield process
        assert process.stop() == 0


@pytest.fixture(scope="session")
def cat() -> Photo:
    return np.asarray(data.chelsea())


@pytest.fixture(scope="session")
def coffee() -> Photo:
    return np.asarray(data.coffee())


@pytest.fixture(scope="session")
def palace() -> Photo:
    return sample("china.jpg")


@pytest.fixture(scope="session")
def encode() -> Encode:
    """A function that writes a photo in one of Pillow's formats."""

    def write(photo: Photo, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        Image.fromarray(photo).save(file, kind, **options)
        return file.getvalue()

    return write


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ensemble of `tests.tiny_models`; not to be changed."""
    return write_tiny_repository(tmp_path_factory.mktemp("tiny"))
