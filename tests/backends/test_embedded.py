"""The embedded backend gives what ONNX Runtime gives, in the order asked, and refuses what is not as declared."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import weakref
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from tests.conftest import Photo
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import (
    CLASSES,
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    HIGHEST_VALUE,
    OUTPUTS,
    PIXELS,
    REAL_REPOSITORY,
    Tensor,
    black_is_nan_graph,
    classifier_graph,
    crop_graph,
    hanging_graph,
    write_model,
)
from topfive.backends.base import Row
from topfive.backends.embedded import EmbeddedBackend, EmbeddedFactory
from topfive.backends.onnx_runtime import Graph
from topfive.ground.errors import BackendFailure, ConfigurationError
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import parse_model_config
from topfive.repository.reading import StoredModel

BATCHED = "efficientnet_lite0_classify"
RESIZE = "efficientnet_lite0_resize"


def compute() -> WorkerPool:
    """Threads to run on; the backend makes sure that there are enough."""
    return WorkerPool(threads=1, name="compute")


@pytest.fixture(scope="module")
def stored() -> dict[str, StoredModel]:
    return read_repository(REAL_REPOSITORY)


@pytest.fixture
async def real(stored: dict[str, StoredModel]) -> AsyncIterator[EmbeddedBackend]:
    """The reference classifier on two cores, not warmed up."""
    factory = EmbeddedFactory(cores=2, alone_threads=0)
    backend = await factory.batched(stored[BATCHED].config, stored[BATCHED].graph_path(1), compute())
    yield backend
    await backend.close()


async def make(tmp_path: Path, more: str = "", *, cores: int = 2, alone_threads: int = 0) -> EmbeddedBackend:
    """The tiny classifier with `more` in its config.pbtxt."""
    write_model(tmp_path, "m", CLASSIFIER_CONFIG + more, classifier_graph())
    model = read_repository(tmp_path)["m"]
    return await EmbeddedFactory(cores=cores, alone_threads=alone_threads).batched(
        model.config, model.graph_path(1), compute()
    )


class Members(list[NDArray[np.uint8]]):
    """A batch whose members are all wanted."""

    deadline = float("inf")

    def claim(self) -> Sequence[NDArray[np.uint8]]:
        return self


def images(*values: int) -> Members:
    return Members(np.full((2, 2, 3), value, np.uint8) for value in values)


def indices(rows: Sequence[Row]) -> list[int]:
    return [int(row["indices"][0]) for row in rows]


async def test_results_are_those_of_onnx_runtime(real: EmbeddedBackend, stored: dict[str, StoredModel]) -> None:
    """Bit for bit, whether a graph runs a batch or one image; on one thread each."""
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(stored[BATCHED].graph_path(1), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for batch in (crops, crops[:1]):
        rows = await real.infer(Members(batch), alone=False)
        expected = session.run(names, {"pixels": batch})
        assert len(rows) == len(batch)
        for name, values in zip(names, expected, strict=True):
            for row, value in zip(rows, values, strict=True):
                np.testing.assert_array_equal(row[name], value)


async def test_the_per_image_graph_gives_what_onnx_runtime_gives(stored: dict[str, StoredModel], cat: Photo) -> None:
    path = stored[RESIZE].graph_path(1)
    graph = await EmbeddedFactory(cores=2, alone_threads=0).per_image(stored[RESIZE].config, path)
    pair = np.stack([cat, cat[::-1]])
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(graph(pair), session.run(["pixels"], {"image": pair})[0])
    assert graph.blocking


@pytest.mark.parametrize("size", [(1, 1), (224, 224), (67, 211), (375, 500)])
async def test_an_image_is_resized_to_the_same_bytes_on_one_core_and_on_all(
    stored: dict[str, StoredModel], size: tuple[int, int]
) -> None:
    factory = EmbeddedFactory(cores=2, alone_threads=0)
    graph = await factory.per_image(stored[RESIZE].config, stored[RESIZE].graph_path(1))
    images = np.random.default_rng(2).integers(0, 256, (1, *size, 3), np.uint8)
    assert graph(images, alone=True).tobytes() == graph(images).tobytes()


async def test_alone_and_in_company_agree(real: EmbeddedBackend) -> None:
    """Another session with other threads: the same labels, probabilities up to the last bits."""
    assert real.serves_alone
    for crop in np.random.default_rng(1).integers(0, 256, (4, 224, 224, 3), np.uint8):
        (alone,) = await real.infer(Members([crop]), alone=True)
        (shared,) = await real.infer(Members([crop]), alone=False)
        assert list(alone["classes"]) == list(shared["classes"])
        np.testing.assert_array_equal(alone["indices"], shared["indices"])
        np.testing.assert_allclose(alone["probabilities"], shared["probabilities"], atol=1e-5)


async def test_a_batch_keeps_its_order(tmp_path: Path) -> None:
    backend = await make(tmp_path)
    values = [9, 3, 200, 3, 0, 41, 7, 100]
    rows = await backend.infer(images(*values), alone=False)
    assert indices(rows) == values
    assert [row["classes"][0] for row in rows] == [f"value {value}" for value in values]
    await backend.close()


async def test_all_slots_run_at_once_and_each_gets_its_own(tmp_path: Path) -> None:
    backend = await make(tmp_path, cores=4)
    assert backend.slots == 4
    for start in range(0, 200, 8):
        batches = [[start + slot, start + slot + 1] for slot in range(4)]
        answers = await asyncio.gather(*(backend.infer(images(*batch), alone=False) for batch in batches))
        assert [indices(rows) for rows in answers] == batches
    await backend.close()


async def test_a_batch_that_fails_gives_its_slot_back(tmp_path: Path) -> None:
    backend = await make(tmp_path, cores=1)
    for _ in range(3):
        with pytest.raises(Exception, match="out of data bounds"):
            await backend.infer(images(5, HIGHEST_VALUE + 1), alone=False)
        assert indices(await backend.infer(images(5), alone=False)) == [5]
    await backend.close()


async def opened(tmp_path: Path, graph: bytes) -> EmbeddedBackend:
    write_model(tmp_path, "m", CLASSIFIER_CONFIG, graph)
    model = read_repository(tmp_path)["m"]
    return await EmbeddedFactory(cores=1, alone_threads=1).batched(model.config, model.graph_path(1), compute())


async def test_a_run_that_does_not_end_is_ended_and_gives_its_slot_back(tmp_path: Path) -> None:
    class Watched(Members):
        def __init__(self, value: int) -> None:
            super().__init__(images(value))
            self.claimed = threading.Event()

        def claim(self) -> Sequence[NDArray[np.uint8]]:
            self.claimed.set()
            return self

    backend = await opened(tmp_path, hanging_graph())
    batch = Watched(255)
    run = backend.infer(batch, alone=False)
    assert await asyncio.to_thread(batch.claimed.wait, 30)
    behind = backend.infer(images(5), alone=False)
    backend.end(run)
    with pytest.raises(Exception, match="terminate flag"):
        await run
    assert indices(await behind) == [5]
    await asyncio.sleep(0)  # it may have ended before it was waited for: now its callbacks have run
    assert backend._runs == {}
    await backend.close()


async def test_what_cannot_be_probabilities_fails_the_batch_and_not_the_load(tmp_path: Path) -> None:
    """Whose fault it was, a run of each by itself shows, as for any batch that fails."""
    backend = await opened(tmp_path, black_is_nan_graph())
    await backend.warm_up()
    with pytest.raises(BackendFailure, match="the graph put out what cannot be probabilities: the least is nan"):
        await backend.infer(images(3, 0), alone=False)
    assert indices(await backend.infer(images(3, 5), alone=False)) == [3, 5]
    await backend.close()


@pytest.mark.parametrize(
    ("more", "cores", "alone_threads", "slots", "serves_alone"),
    [
        ("", 3, 0, 3, True),
        ("", 1, 0, 1, False),
        ("", 3, 1, 3, False),
        ("", 3, 2, 3, True),
        ("instance_group { count: 2 }", 4, 0, 2, True),
        ("instance_group { count: 1 }", 4, 0, 1, False),
        ('parameters { key: "intra_op_thread_count" value { string_value: "2" } }', 4, 0, 2, True),
        ('parameters { key: "intra_op_thread_count" value { string_value: "2" } }', 4, 2, 2, False),
        ('parameters { key: "intra_op_thread_count" value { string_value: "3" } }', 4, 0, 1, False),
        ('parameters { key: "intra_op_thread_count" value { string_value: "0" } }', 2, 0, 2, True),
    ],
)
async def test_slots_and_threads_fill_the_cores(
    tmp_path: Path, more: str, cores: int, alone_threads: int, slots: int, serves_alone: bool
) -> None:
    """By default as many slots of one thread as there are cores; what the config.pbtxt says goes first."""
    backend = await make(tmp_path, more, cores=cores, alone_threads=alone_threads)
    assert (backend.slots, backend.serves_alone) == (slots, serves_alone)
    await backend.close()


async def test_the_batch_size_that_pays_is_found_by_measuring(tmp_path: Path) -> None:
    """For a graph so small that the call costs most, a larger batch pays; never beyond max_batch_size."""
    backend = await make(tmp_path)
    await backend.warm_up()
    assert 2 <= backend.batch_size_that_pays <= 8
    await backend.close()


async def test_without_dynamic_batching_nothing_is_batched(tmp_path: Path) -> None:
    write_model(tmp_path, "m", CLASSIFIER_CONFIG.replace("dynamic_batching { }", ""), classifier_graph())
    model = read_repository(tmp_path)["m"]
    backend = await EmbeddedFactory(cores=2, alone_threads=0).batched(model.config, model.graph_path(1), compute())
    await backend.warm_up()
    assert backend.batch_size_that_pays == 1
    await backend.close()


async def test_warm_up_runs_the_samples_of_the_configuration(tmp_path: Path) -> None:
    """Shown by a sample that cannot run: random bytes hold values that the tiny graph fails on."""
    sample = """model_warmup { name: "s" batch_size: 8 inputs { key: "pixels" value {
        data_type: TYPE_UINT8 dims: [ 2, 2, 3 ] %s: true } } }"""
    backend = await make(tmp_path, sample % "zero_data")
    await backend.warm_up()
    await backend.close()
    backend = await make(tmp_path, sample % "random_data")
    with pytest.raises(Exception, match="out of data bounds"):
        await backend.warm_up()
    await backend.close()


async def test_close_ends_its_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    backend = await make(tmp_path, cores=3)
    await backend.infer(images(1), alone=False)
    assert len(set(threading.enumerate()) - before) >= 3
    await backend.close()
    assert not [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("slot")]


async def test_a_closed_backend_holds_no_session(tmp_path: Path) -> None:
    """A call that comes late fails, and leaves its thread to others."""
    backend = await make(tmp_path)
    sessions = [weakref.ref(graph._session._sess) for graph in backend._graphs if isinstance(graph, Graph)]
    await backend.infer(images(1), alone=True)
    for _ in range(2):
        await backend.close()
        assert [session() for session in sessions] == [None, None, None]
        for alone in (False, True):
            with pytest.raises(AttributeError):
                await backend.infer(images(1), alone=alone)
    assert await backend._pool.run(int, "7") == 7


FLOAT, UINT8, INT64 = 1, 2, 7


def declared(*, image: Tensor = PIXELS, outputs: Sequence[Tensor] = OUTPUTS) -> bytes:
    return classifier_graph(image, outputs)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (declared(image=("image", UINT8, (-1, 2, 2, 3))), ["'image'", "'pixels'"]),
        (declared(image=("pixels", INT64, (-1, 2, 2, 3))), ["'pixels'", "tensor(int64)", "UINT8"]),
        (declared(image=("pixels", UINT8, (-1, 2, 4, 3))), ["'pixels'", "[-1, 2, 4, 3]", "[-1, 2, 2, 3]"]),
        (declared(image=("pixels", UINT8, (-1, -1, 2, 3))), ["'pixels'", "[-1, -1, 2, 3]"]),
        (declared(image=("pixels", UINT8, (1, 2, 2, 3))), ["'pixels'", "[1, 2, 2, 3]"]),
        (declared(outputs=OUTPUTS[:2]), ["'indices'"]),
        (declared(outputs=(*OUTPUTS, ("zeros", INT64, (-1, 5)))), ["'zeros'"]),
        (declared(outputs=(CLASSES, ("probabilities", FLOAT, (-1, 4)), OUTPUTS[2])), ["'probabilities'", "[-1, 5]"]),
        (b"no graph at all", ["onnxruntime cannot load"]),
    ],
    ids=["name", "type", "size", "free", "no batch", "output missing", "output too many", "output size", "no graph"],
)
async def test_a_graph_that_is_not_as_declared_is_refused(tmp_path: Path, graph: bytes, words: list[str]) -> None:
    """The message names the file and the tensor."""
    write_model(tmp_path, "m", CLASSIFIER_CONFIG, graph)
    model = read_repository(tmp_path)["m"]
    with pytest.raises(ConfigurationError) as refused:
        await EmbeddedFactory(cores=2, alone_threads=0).batched(model.config, model.graph_path(1), compute())
    assert [word for word in [str(model.graph_path(1)), *words] if word not in str(refused.value)] == []


@pytest.mark.parametrize(("kind", "next_step"), [(FLOAT, True), (10, True), (11, True), (UINT8, False), (INT64, False)])
async def test_a_graph_that_takes_floats_is_told_of_the_import(tmp_path: Path, kind: int, next_step: bool) -> None:
    """For it is a network as a framework exports it."""
    write_model(tmp_path, "m", CLASSIFIER_CONFIG, declared(image=("input", kind, (-1, 3, 2, 2))))
    model = read_repository(tmp_path)["m"]
    with pytest.raises(ConfigurationError, match="make them the same") as refused:
        await EmbeddedFactory(cores=1, alone_threads=1).batched(model.config, model.graph_path(1), compute())
    command = f"`topfive import {model.graph_path(1)} --name NAME` makes a servable model of it"
    assert (command in str(refused.value)) is next_step


async def test_a_per_image_graph_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(crop_graph(pixels=("crop", UINT8, (-1, 2, 2, 3))))
    config = parse_model_config(CROP_CONFIG, name="crop", where="config.pbtxt")
    with pytest.raises(ConfigurationError, match=r"'crop'.*'pixels'"):
        await EmbeddedFactory(cores=2, alone_threads=0).per_image(config, path)


def test_it_reports_nothing_to_anybody() -> None:
    """The runtime reads this when it is imported."""
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


async def test_auto_is_the_cpu_where_there_is_no_gpu(tmp_path: Path) -> None:
    if on_gpu():
        pytest.skip("there is a GPU")
    backend = await make(tmp_path, "instance_group { kind: KIND_AUTO }")
    assert backend.prepares, "its slots are the cores' own threads"
    assert backend.slots == 2
    await backend.close()


async def test_a_gpu_that_is_not_there_is_not_silently_a_cpu(tmp_path: Path) -> None:
    if on_gpu():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigurationError, match="KIND_GPU"):
        await make(tmp_path, "instance_group { kind: KIND_GPU }")


async def test_a_per_image_graph_is_not_run_on_a_gpu(tmp_path: Path) -> None:
    write_model(tmp_path, "m", CROP_CONFIG + "instance_group { kind: KIND_GPU }", crop_graph())
    model = read_repository(tmp_path)["m"]
    with pytest.raises(ConfigurationError, match="KIND_GPU"):
        await EmbeddedFactory(cores=2, alone_threads=0).per_image(model.config, model.graph_path(1))


@pytest.mark.gpu
async def test_a_gpu_gives_what_the_cpu_gives(stored: dict[str, StoredModel], cat: Photo, coffee: Photo) -> None:
    if not on_gpu():
        pytest.skip("needs an NVIDIA GPU and the extra `gpu`")
    config, path = stored[BATCHED].config, stored[BATCHED].graph_path(1)
    crops = Members([cat[:224, :224], coffee[:224, :224], coffee[100:324, 100:324]])
    factory = EmbeddedFactory(cores=2, alone_threads=0)
    gpu = await factory.batched(replace(config, device="gpu"), path, compute())
    cpu = await factory.batched(replace(config, device="cpu"), path, compute())
    assert (gpu.prepares, gpu.slots) == (False, 1)
    for found, expected in zip(await gpu.infer(crops, alone=False), await cpu.infer(crops, alone=False), strict=True):
        assert found["classes"].tolist() == expected["classes"].tolist()
        assert np.abs(found["probabilities"] - expected["probabilities"]).max() < 1e-4
    await gpu.warm_up()
    assert gpu.batch_size_that_pays > 1
    await gpu.close()
    await cpu.close()


def on_gpu() -> bool:
    """Whether ONNX Runtime has CUDA, and there is a GPU for it."""
    return "CUDAExecutionProvider" in ort.get_available_providers() and shutil.which("nvidia-smi") is not None
