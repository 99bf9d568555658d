"""OpenVINO runs what ONNX Runtime runs, with the same answers, and refuses what it could not run so."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Encode, Photo
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.stored_models import read_repository, served_precision
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    OUTPUTS,
    REAL_REPOSITORY,
    black_is_nan_graph,
    classifier_graph,
    crop_graph,
    write_model,
)
from topfive.backends import openvino_runtime
from topfive.backends.base import Row
from topfive.backends.embedded import EmbeddedBackend, EmbeddedFactory
from topfive.ground.errors import BackendFailure, ConfigurationError
from topfive.machine.cpu_features import multiplies_bfloat16
from topfive.machine.workers import WorkerPool

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

FP32: Final = 'optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "openvino" } ] } }'
BF16: Final = FP32.replace('"openvino"', '"openvino" parameters { key: "precision" value: "bf16" }')
CLASSIFY, RESIZE = "efficientnet_lite0_classify", "efficientnet_lite0_resize"
FLOAT, UINT8 = 1, 2


class Members(list[NDArray[np.uint8]]):
    """A batch whose members are all wanted. `claimed`: whether it was asked for them."""

    deadline = float("inf")

    def __init__(self, members: Sequence[NDArray[np.uint8]]) -> None:
        super().__init__(members)
        self.claimed = threading.Event()

    def claim(self) -> Sequence[NDArray[np.uint8]]:
        self.claimed.set()
        return self


def images(*values: int) -> Members:
    return Members([np.full((2, 2, 3), value, np.uint8) for value in values])


def indices(rows: Sequence[Row]) -> list[int]:
    return [int(row["indices"][0]) for row in rows]


async def opened(
    folder: Path, more: str = FP32, *, graph: bytes | None = None, cores: int = 2, load_seconds: float = 60
) -> EmbeddedBackend:
    """The tiny classifier, or another graph with its interface."""
    write_model(folder, "m", CLASSIFIER_CONFIG + more, graph or classifier_graph())
    model = read_repository(folder)["m"]
    factory = EmbeddedFactory(cores=cores, alone_threads=0, load_seconds=load_seconds)
    return await factory.batched(model.config, model.graph_path(1), WorkerPool(threads=1, name="compute"))


def real_repository(folder: Path, more: str) -> Path:
    """The repository that comes with topfive, with `more` in the classifier's config.pbtxt."""
    shutil.copytree(REAL_REPOSITORY, folder)
    with (folder / CLASSIFY / "config.pbtxt").open("a") as config:
        config.write(more)
    return folder


async def real(repository: Path) -> EmbeddedBackend:
    model = read_repository(repository)[CLASSIFY]
    factory = EmbeddedFactory(cores=2, alone_threads=0)
    return await factory.batched(model.config, model.graph_path(1), WorkerPool(threads=1, name="compute"))


async def is_refused(folder: Path) -> None:
    """What holds of bf16 on a processor that does not multiply it: the model that asks for it is not loaded."""
    with pytest.raises(ConfigurationError, match="bf16"):
        await real(real_repository(folder / "models", BF16))


@pytest.fixture
async def crops(cat: Photo, coffee: Photo, palace: Photo) -> list[NDArray[np.uint8]]:
    """Real photos, as the resize graph makes them: UINT8 [224, 224, 3]."""
    model = read_repository(REAL_REPOSITORY)[RESIZE]
    resize = await EmbeddedFactory(cores=2, alone_threads=0).per_image(model.config, model.graph_path(1))
    return [resize(photo[np.newaxis])[0] for photo in (cat, coffee, palace, cat[::-1], coffee[:, ::-1])]


@pytest.mark.parametrize(("more", "tolerance"), [(FP32, 1e-4), (BF16, 0.1)], ids=["fp32", "bf16"])
async def test_real_photos_are_answered_as_by_onnx_runtime(
    tmp_path: Path, crops: list[NDArray[np.uint8]], more: str, tolerance: float
) -> None:
    if more == BF16 and not multiplies_bfloat16():
        await is_refused(tmp_path)
        return
    theirs, ours = await real(REAL_REPOSITORY), await real(real_repository(tmp_path / "models", more))
    for expected, found in zip(
        await theirs.infer(Members(crops), alone=False), await ours.infer(Members(crops), alone=False), strict=True
    ):
        assert found["classes"].dtype == expected["classes"].dtype
        assert found["indices"].dtype == expected["indices"].dtype
        place = found["classes"].tolist().index(expected["classes"][0])  # another may be as likely in bf16
        assert abs(found["probabilities"][place] - expected["probabilities"][0]) < tolerance
        if more == FP32:
            assert found["classes"].tolist() == expected["classes"].tolist()
            np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=tolerance)
    await theirs.close()
    await ours.close()


@pytest.mark.parametrize("more", [FP32, BF16], ids=["fp32", "bf16"])
async def test_an_image_has_one_answer_alone_and_in_company(
    tmp_path: Path, crops: list[NDArray[np.uint8]], more: str
) -> None:
    """Whatever the size of its batch, and the number of threads."""
    if more == BF16 and not multiplies_bfloat16():
        await is_refused(tmp_path)
        return
    backend = await real(real_repository(tmp_path / "models", more))
    assert backend.serves_alone
    together = await backend.infer(Members(crops), alone=False)
    for crop, expected in zip(crops, together, strict=True):
        for alone in (False, True):
            (found,) = await backend.infer(Members([crop]), alone=alone)
            np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
            assert found["classes"].tolist() == expected["classes"].tolist()
    await backend.close()


async def test_batches_on_all_slots_keep_their_order(tmp_path: Path) -> None:
    """On more slots than this machine may have cores."""
    backend = await opened(tmp_path, cores=4)
    assert (backend.slots, backend.engine) == (4, "openvino")
    for start in range(0, 200, 8):
        batches = [[start + slot, start + slot + 1] for slot in range(4)]
        answers = await asyncio.gather(*(backend.infer(images(*batch), alone=False) for batch in batches))
        assert [indices(rows) for rows in answers] == batches
        assert answers[1][0]["classes"][0] == f"value {start + 1}"
    await backend.close()


@pytest.mark.parametrize(
    ("more", "cores", "slots", "serves_alone"),
    [
        ("", 3, 3, True),
        ("", 1, 1, False),
        ("instance_group { count: 2 }", 4, 2, True),
        ('parameters { key: "intra_op_thread_count" value { string_value: "2" } }', 4, 2, True),
    ],
)
async def test_slots_and_threads_fill_the_cores(
    tmp_path: Path, more: str, cores: int, slots: int, serves_alone: bool
) -> None:
    backend = await opened(tmp_path, FP32 + more, cores=cores)
    assert (backend.slots, backend.serves_alone) == (slots, serves_alone)
    await backend.close()


async def test_the_batch_size_that_pays_is_found_by_measuring(tmp_path: Path) -> None:
    backend = await opened(tmp_path)
    await backend.warm_up()
    assert 2 <= backend.batch_size_that_pays <= 8
    assert indices(await backend.infer(images(7), alone=True)) == [7], "after its memory was given back"
    await backend.close()


async def test_a_run_is_ended_between_two_nodes_and_gives_its_slot_back(
    tmp_path: Path, crops: list[NDArray[np.uint8]]
) -> None:
    backend = await real(real_repository(tmp_path / "models", FP32))
    long = Members(crops * 50)
    run = backend.infer(long, alone=False)
    assert await asyncio.to_thread(long.claimed.wait, 30)
    backend.end(run)
    with pytest.raises(BackendFailure, match=r"was canceled|was ended before it began"):
        await run
    assert [row["classes"][0] for row in await backend.infer(Members(crops[1:2]), alone=False)] == ["espresso"]
    await backend.close()


async def test_a_run_that_was_ended_never_begins(tmp_path: Path) -> None:
    backend = await opened(tmp_path)
    graph = backend._graphs[0]
    run = graph.new_run()
    run.terminate = True
    with pytest.raises(BackendFailure, match="ended before it began"):
        graph.run(np.zeros((1, 2, 2, 3), np.uint8), run)
    assert indices(await backend.infer(images(7), alone=False)) == [7]
    await backend.close()


async def test_pixels_need_be_neither_in_order_nor_writable(tmp_path: Path) -> None:
    """As those of a body that is viewed where it lies, or of a picture that was turned."""
    backend = await opened(tmp_path)
    graph = backend._graphs[0]
    pixels = np.frombuffer(bytes([7] * 24), np.uint8).reshape(2, 2, 2, 3)
    assert not pixels.flags.writeable
    for given in (pixels, pixels[::-1, :, ::-1]):
        assert graph.run(given)[2][:, 0].tolist() == [7, 7]
    await backend.close()


async def test_what_cannot_be_probabilities_fails_the_batch(tmp_path: Path) -> None:
    backend = await opened(tmp_path, graph=black_is_nan_graph())
    with pytest.raises(BackendFailure, match="the graph put out what cannot be probabilities"):
        await backend.infer(images(3, 0), alone=False)
    assert indices(await backend.infer(images(3, 5), alone=False)) == [3, 5]
    await backend.close()


async def test_a_closed_backend_holds_no_graph_and_runs_none(tmp_path: Path) -> None:
    backend = await opened(tmp_path)
    graphs = [graph for graph in backend._graphs if isinstance(graph, openvino_runtime.Graph)]
    for _ in range(2):
        await backend.close()
        assert [(graph._compiled, graph._free.qsize(), graph._runs) for graph in graphs] == [(None, 0, set())] * 3
        for alone in (False, True):
            with pytest.raises(BackendFailure, match="closed"):
                await backend.infer(images(1), alone=alone)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (classifier_graph(("image", UINT8, (-1, 2, 2, 3))), ["'image'", "'pixels'"]),
        (classifier_graph(("pixels", FLOAT, (-1, 2, 2, 3))), ["tensor(float)", "UINT8", "topfive import"]),
        (classifier_graph(("pixels", UINT8, (1, 2, 2, 3))), ["'pixels'", "[1, 2, 2, 3]"]),
        (classifier_graph(outputs=OUTPUTS[:2]), ["'indices'"]),
        (b"no graph at all", ["OpenVINO cannot load this graph", "remove execution_accelerators"]),
        (b"", ["it is empty"]),
    ],
    ids=["name", "type", "no batch", "output missing", "no graph", "empty"],
)
async def test_a_graph_that_is_not_as_declared_is_refused(tmp_path: Path, graph: bytes, words: list[str]) -> None:
    write_model(tmp_path, "m", CLASSIFIER_CONFIG + FP32, classifier_graph())
    model = read_repository(tmp_path)["m"]
    model.graph_path(1).write_bytes(graph)
    with pytest.raises(ConfigurationError) as refused:
        await EmbeddedFactory(cores=2, alone_threads=0).batched(
            model.config, model.graph_path(1), WorkerPool(threads=1, name="compute")
        )
    assert [word for word in [str(model.graph_path(1)), *words] if word not in str(refused.value)] == []
    assert "Exception from" not in str(refused.value)


async def test_bf16_is_refused_where_it_would_be_imitated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_runtime, "multiplies_bfloat16", lambda: False)
    with pytest.raises(ConfigurationError, match=r"neither avx512_bf16 nor amx_bf16.*set the precision fp32"):
        await opened(tmp_path, BF16)


async def test_a_graph_that_prepares_images_runs_on_onnx_runtime_only(tmp_path: Path) -> None:
    write_model(tmp_path, "m", CROP_CONFIG + FP32, crop_graph())
    model = read_repository(tmp_path)["m"]
    with pytest.raises(ConfigurationError, match=r"execution_accelerators is not honoured.*remove it"):
        await EmbeddedFactory(cores=2, alone_threads=0).per_image(model.config, model.graph_path(1))


def test_it_reports_nothing_to_anybody() -> None:
    """Its package brings another that can: nothing is looked up, connected or sent by loading and running a graph."""
    program = f"""
import sys
seen = []
sys.addaudithook(lambda event, given: seen.append(event) if event.startswith(("socket.", "subprocess.")) else None)
import openvino
graph = openvino.Core().compile_model({str(REAL_REPOSITORY / CLASSIFY / "1" / "model.onnx")!r}, "CPU")
import numpy
graph(numpy.zeros((1, 224, 224, 3), numpy.uint8))
print([event for event in seen if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_service_serves_on_it_and_says_so(tmp_path: Path, cat: Photo, coffee: Photo, encode: Encode) -> None:
    """End to end: many clients at once, each with its own answer; the banner's line, and the metric."""
    cats = frozenset({"tiger cat", "Egyptian cat"})  # as likely as each other
    files = {cats: encode(cat, "JPEG", quality=95), frozenset({"espresso"}): encode(coffee, "JPEG", quality=95)}
    with serving("--model-repository", str(real_repository(tmp_path / "models", FP32))) as process:
        (model,) = json.loads(process.wait_for_log("classifying at"))["models"]
        precision = served_precision(REAL_REPOSITORY, CLASSIFY)
        assert (model["precision"], model["engine"]) == (precision, "openvino")
        labels = {"model": CLASSIFY, "backend": "embedded", "engine": "openvino", "precision": precision}
        assert process.metric("topfive_model_info", **labels) == 1
        _ask_many(process, files)
        assert process.stop() == 0


def _ask_many(process: ServingProcess, files: dict[frozenset[str], bytes]) -> None:
    def ask(wanted: frozenset[str]) -> tuple[frozenset[str], str]:
        return wanted, process.classify(files[wanted], "image/jpeg").labels[0]

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, [*files] * 12))
    assert [found for wanted, found in answers if found not in wanted] == []
