"""What a real Triton does not do on demand: to answer nothing, or what cannot be. It costs that batch only."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.fakes import FakeClock, settle
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, classifier_graph, write_model
from topfive.backends.embedded import EmbeddedFactory
from topfive.backends.triton.backend import TritonBackend, TritonFactory
from topfive.ground.errors import BackendFailure, BackendMismatch, BackendUnreachable, DeadlineExceeded
from topfive.machine.workers import WorkerPool

TIMEOUT: Final = 0.5
"""How long a call may take where one hangs; what is answered is so at once, on a busy machine too."""
PATIENCE: Final = 30.0
"""And where none does."""
HANGING: Final = 255
"""The image that hangs while others are answered."""

Change = Callable[[pb.ModelInferResponse], None]


class Images(list[np.ndarray[Any, np.dtype[np.uint8]]]):
    """A batch whose members are all wanted."""

    def __init__(self, *values: int, deadline: float = float("inf")) -> None:
        super().__init__(np.full((2, 2, 3), value, np.uint8) for value in values)
        self.deadline = deadline

    def claim(self) -> Images:
        return self


class Misbehaving:
    """Answers as the tiny classifier's Triton, but for what the test sets.

    That is a `change` of the answer, its `raw` bytes, or a `status`; while it `hangs` it does not answer at all, and
    never to an image of the value `HANGING`.
    """

    def __init__(self, config: Any) -> None:
        self.change: Change | None = None
        self.raw: bytes | None = None
        self.status: tuple[grpc.StatusCode, str] | None = None
        self.hangs = False
        self.noise = False
        self.calls = 0
        self._config = config

    async def start(self) -> str:
        self._server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
        handlers = {
            "ServerReady": self._say(pb.ServerReadyResponse(ready=True)),
            "ModelReady": self._say(pb.ModelReadyResponse(ready=True)),
            "ModelConfig": self._say(pb.ModelConfigResponse(config=self._config.message)),
            "ModelMetadata": self._say(self._metadata()),
            "ModelInfer": self._infer,
        }
        methods = {name: grpc.unary_unary_rpc_method_handler(handler) for name, handler in handlers.items()}
        generic = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", methods)
        self._server.add_generic_rpc_handlers((generic,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def close(self) -> None:
        await self._server.stop(None)

    def _say(self, answer: Any) -> Any:
        async def handler(request: bytes, context: Any) -> bytes:
            said: bytes = answer.SerializeToString()
            return b"\xff" * 100 if self.noise else said

        return handler

    def _metadata(self) -> Any:
        answer = pb.ModelMetadataResponse(name="m", versions=["1"])
        for specs, tensors in ((self._config.inputs, answer.inputs), (self._config.outputs, answer.outputs)):
            for spec in specs:
                tensors.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        return answer

    async def _infer(self, message: bytes, context: Any) -> bytes:
        self.calls += 1
        request = pb.ModelInferRequest.FromString(message)
        if self.hangs or HANGING in request.raw_input_contents[0]:
            await asyncio.get_running_loop().create_future()
        if self.status is not None:
            await context.abort(*self.status)
        if self.raw is not None:
            return self.raw
        count = request.inputs[0].shape[0]
        answer = pb.ModelInferResponse(model_name="m", model_version="1")
        for name, datatype, raw in (
            ("classes", "BYTES", (struct.pack("<I", 2) + b"it") * 5 * count),
            ("probabilities", "FP32", np.full((count, 5), 0.2, "<f4").tobytes()),
            ("indices", "INT64", np.zeros((count, 5), "<i8").tobytes()),
        ):
            answer.outputs.add(name=name, datatype=datatype, shape=[count, 5])
            answer.raw_output_contents.append(raw)
        if self.change is not None:
            self.change(answer)
        said: bytes = answer.SerializeToString()
        return said


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    write_model(tmp_path, "m", CLASSIFIER_CONFIG + "instance_group { count: 1 }", classifier_graph())
    return read_repository(tmp_path, on_triton=True)["m"]


@pytest.fixture
async def triton(stored: Any) -> AsyncIterator[tuple[Misbehaving, str]]:
    server = Misbehaving(stored.config)
    yield server, await server.start()
    await server.close()


async def made(
    stored: Any, url: str, *, seconds: float = TIMEOUT, clock: FakeClock | None = None
) -> tuple[TritonFactory, TritonBackend]:
    embedded = EmbeddedFactory(cores=1, alone_threads=1, load_seconds=120.0, clock=clock)
    factory = TritonFactory(url, embedded=embedded, slots=0, timeout_seconds=seconds)
    pool = WorkerPool(threads=0, name="unused")
    return factory, await factory.batched(stored.config, stored.graph_path(1), pool)


@pytest.fixture
async def backend(triton: tuple[Misbehaving, str], stored: Any) -> AsyncIterator[TritonBackend]:
    factory, backend = await made(stored, triton[1], seconds=PATIENCE)
    yield backend
    await factory.close()


@pytest.fixture
async def impatient(triton: tuple[Misbehaving, str], stored: Any) -> AsyncIterator[TritonBackend]:
    factory, backend = await made(stored, triton[1])
    yield backend
    await factory.close()


@pytest.fixture
def server(triton: tuple[Misbehaving, str]) -> Misbehaving:
    return triton[0]


async def run(backend: TritonBackend, batch: Images) -> int:
    """How many rows came."""
    return len(await backend.infer(batch, alone=False))


async def test_a_triton_that_runs_nothing_is_unreachable_until_it_does_whatever_it_says_of_itself(
    server: Misbehaving, impatient: TritonBackend
) -> None:
    await impatient.check()
    assert server.calls == 0, "nothing is run to see what nobody doubts"
    server.hangs = True
    with pytest.raises(BackendUnreachable, match=r"has not answered a batch within 0\.5 s; retry shortly"):
        await run(impatient, Images(1, 2))
    with pytest.raises(BackendUnreachable, match="has not answered a batch"):
        await impatient.check()
    server.hangs = False
    await impatient.check()
    assert await run(impatient, Images(1, 2)) == 2
    calls = server.calls
    await impatient.check()
    assert server.calls == calls


async def test_a_batch_that_hangs_while_others_are_answered_fails_alone(
    server: Misbehaving, impatient: TritonBackend
) -> None:
    hanging = impatient.infer(Images(HANGING), alone=False)
    while server.calls < 1:  # noqa: ASYNC110  # no event of the server's reaches its client
        await asyncio.sleep(0.001)
    assert await run(impatient, Images(1)) == 1
    with pytest.raises(BackendFailure, match="has not answered a batch"):
        await hanging
    calls = server.calls
    await impatient.check()
    assert server.calls == calls, "it is not doubted"


async def test_a_deadline_that_passes_is_its_own_and_has_triton_asked_to_run_something(
    server: Misbehaving, impatient: TritonBackend
) -> None:
    """So a Triton that hangs is found out also where every client has a deadline."""
    server.hangs = True
    with pytest.raises(DeadlineExceeded):
        await run(impatient, Images(1, deadline=0.0))
    with pytest.raises(BackendUnreachable, match="has not answered a batch"):
        await impatient.check()
    server.hangs = False
    await impatient.check()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND])
async def test_what_it_says_of_its_absence_is_cut_short_and_doubted(
    server: Misbehaving, backend: TritonBackend, code: grpc.StatusCode
) -> None:
    server.status = (code, "long " * 300)
    with pytest.raises(BackendUnreachable) as told:
        await run(backend, Images(1))
    assert len(str(told.value)) < 700
    assert told.value.__suppress_context__, "the log has no more of it"
    with pytest.raises(BackendUnreachable):
        await backend.check()
    server.status = None
    await backend.check()


async def test_a_doubted_triton_that_answers_with_an_error_is_there(
    server: Misbehaving, impatient: TritonBackend
) -> None:
    server.hangs = True
    with pytest.raises(BackendUnreachable):
        await run(impatient, Images(1))
    server.hangs, server.status = False, (grpc.StatusCode.INTERNAL, "a graph that fails on black")
    await impatient.check()


async def test_what_it_says_of_a_failure_is_cut_short(server: Misbehaving, backend: TritonBackend) -> None:
    server.status = (grpc.StatusCode.INTERNAL, "b\u00e9 \n" * 200)
    with pytest.raises(BackendFailure, match="INTERNAL: b") as told:
        await run(backend, Images(1))
    assert len(str(told.value)) < 700


def replaced(which: int, raw: bytes) -> Change:
    def change(answer: Any) -> None:
        answer.raw_output_contents[which] = raw

    return change


def renamed(answer: Any) -> None:
    answer.outputs[2].name = "index"


def with_many_outputs(answer: Any) -> None:
    for number in range(1000):
        answer.outputs.add(name="x" * 1000, datatype="FP32", shape=[number])
    renamed(answer)


def of_one_more(answer: Any) -> None:
    for output in answer.outputs:
        output.shape[0] += 1


def numbers(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


IMPOSSIBLE: Final[dict[str, Change]] = {
    "NaN": replaced(1, numbers(0.1, float("nan"), 0, 0, 0)),
    "infinite": replaced(1, numbers(float("inf"), 0, 0, 0, 0)),
    "negative": replaced(1, numbers(-1, 0, 0, 0, 0)),
    "above 1": replaced(1, numbers(1.5, 0, 0, 0, 0)),
    "index below zero": replaced(2, np.array([0, 0, 0, 0, -1], "<i8").tobytes()),
    "cut label": replaced(0, ((struct.pack("<I", 2) + b"it") * 5)[:-1]),
    "label that is no text": replaced(0, (struct.pack("<I", 2) + b"\xff\xfe") * 5),
    "label without an end": replaced(0, b"\xff\xff\xff\xffit"),
    "no labels": replaced(0, b""),
    "labels without number": replaced(0, bytes(4 << 20)),
    "cut numbers": replaced(1, numbers(0.5, 0.5, 0)[:-1]),
    "output missing": renamed,
    "outputs without number": with_many_outputs,
    "an image more": of_one_more,
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
async def test_an_answer_that_cannot_be_fails_its_batch_alone(
    server: Misbehaving, backend: TritonBackend, what: str
) -> None:
    """In few words, and the next is answered."""
    server.change = IMPOSSIBLE[what]
    with pytest.raises(BackendFailure) as told:
        await run(backend, Images(1))
    assert len(str(told.value)) < 2000
    server.change = None
    assert await run(backend, Images(1)) == 1


@pytest.mark.parametrize(
    "raw", [b"", b"\xff" * 100, b"\x7a\x81\x80\x80\x20" + bytes((64 << 20) + 1)], ids=["nothing", "noise", "long"]
)
async def test_bytes_that_are_no_answer_fail_their_batch_alone(
    server: Misbehaving, backend: TritonBackend, raw: bytes
) -> None:
    """Nothing, no message, or one that is longer than any answer."""
    server.raw = raw
    with pytest.raises(BackendFailure):
        await run(backend, Images(1))
    server.raw = None
    assert await run(backend, Images(1)) == 1


async def test_noise_in_answer_to_a_question_is_no_answer(
    server: Misbehaving, backend: TritonBackend, triton: tuple[Misbehaving, str], stored: Any
) -> None:
    """Whoever listens there is not the Triton that was meant, or not yet."""
    server.noise = True
    with pytest.raises(BackendUnreachable, match="cannot be read"):
        await backend.check()
    with pytest.raises(BackendUnreachable, match="cannot be read"):
        await made(stored, triton[1])
    server.noise = False
    await backend.check()


async def test_a_warm_up_that_is_not_answered_is_given_up_and_named(
    triton: tuple[Misbehaving, str], stored: Any
) -> None:
    """It may be mended there, without a change here."""
    server, url = triton
    server.hangs, clock = True, FakeClock()
    factory, backend = await made(stored, url, clock=clock)
    warm_up = asyncio.create_task(backend.warm_up())
    while not server.calls:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0.001)
    await settle()
    clock.advance(120.0)
    with pytest.raises(BackendMismatch, match=r"model 'm' on Triton at .* did not end within 120 s"):
        await warm_up
    await factory.close()


async def test_a_model_that_is_too_slow_to_be_served_is_told_at_its_warm_up(
    triton: tuple[Misbehaving, str], stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, url = triton
    factory, backend = await made(stored, url)

    async def instant(measure: Any, *, max_batch_size: int) -> int:
        server.hangs = True
        return 1

    monkeypatch.setattr("topfive.backends.triton.backend.find_batch_size_that_pays", instant)
    with pytest.raises(BackendMismatch, match=r"within 0\.5 s; make the model faster, or raise triton_timeout"):
        await backend.warm_up()
    await factory.close()
