"""What becomes of a service while its Triton is not there, hangs, dies, comes back, is another, or is shared."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from benchmarks import tritonserver
from benchmarks.tritonserver import Ports, Tritonserver
from tests.testkit.clients import Way, connected
from tests.testkit.serving_process import READY, Answer, ServingProcess
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    classifier_graph,
    crop_graph,
    ensemble_config,
    write_model,
)

pytestmark = pytest.mark.skipif(bool(tritonserver.missing()), reason=tritonserver.missing())

ONE_INSTANCE: Final = "instance_group { count: 1 kind: KIND_CPU }\n"
CLASSIFIER: Final = CLASSIFIER_CONFIG + ONE_INSTANCE
CALLS: Final = 8
"""Slots of a service: more than the images that a test sends at once, so that each is a call of its own."""
PATIENCE_SECONDS: Final = 30.0
"""For what must end by itself; only a hang reaches it."""
TRITON_SECONDS: Final = 2.0
"""How long Triton may take to say that it is ready, or to run a batch: enough on a busy machine too."""


def write_repository(folder: Path, *, classifier: str = CLASSIFIER) -> Path:
    """The tiny ensemble, whose classifier runs once at a time."""
    write_model(folder, "crop", CROP_CONFIG, crop_graph())
    write_model(folder, "classify", classifier, classifier_graph())
    write_model(folder, "tiny", ensemble_config())
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tritonserver]:
    """On its feet again after each test."""
    control = ("--model-control-mode=explicit", "--load-model=*")
    with closing(Tritonserver(tmp_path_factory.mktemp("triton"), repository, *control)) as server:
        yield server


@contextmanager
def starting(triton_url: str, repository: Path, *flags: str) -> Iterator[ServingProcess]:
    """A service on Triton, not waited for."""
    options = ["--model-repository", str(repository), "--backend", "triton", "--triton-url", triton_url]
    options += ["--triton-timeout-seconds", str(TRITON_SECONDS), "--triton-slots", str(CALLS), *flags]
    with ServingProcess(*options) as service:
        yield service


@contextmanager
def front_ends(triton: Tritonserver, repository: Path, *flags: Sequence[str]) -> Iterator[list[ServingProcess]]:
    """Services on one Triton, ready; one for each set of flags."""
    with ExitStack() as stack:
        services = [stack.enter_context(starting(triton.url, repository, *own)) for own in flags]
        for service in services:
            service.wait_for_log(READY)
        yield services


def classify(service: ServingProcess, value: int, **query: object) -> Answer:
    """An image whose brightest value is `value`: labelled so."""
    return service.classify(bytes([value] * 12), model="tiny", height=2, width=2, **query)


def assert_right(answer: Answer, value: int) -> None:
    assert (answer.status, answer.json["predictions"][0]["label"]) == (200, f"value {value}"), answer


def assert_told_to_come_again(answer: Answer) -> None:
    assert answer.assert_error(503, "not_ready")
    assert int(answer.headers["retry-after"]) >= 1


def is_ready(service: ServingProcess) -> bool:
    return service.ask("GET", "/v2/health/ready").status == 200


def wait_for_readiness(service: ServingProcess, ready: bool) -> None:
    service.wait_until(lambda: is_ready(service) is ready)


def wait_for_images(service: ServingProcess, count: int) -> None:
    """Until so many have been answered."""
    service.wait_until(lambda: service.metric("topfive_images_total") >= count)


class Load:
    """Clients that ask again and again, each one thing at a time, until the end of the `with` block."""

    def __init__(self, *clients: Callable[[int], Answer | str]) -> None:
        self._clients = clients
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(len(clients))

    def __enter__(self) -> Self:
        self._running: list[Future[list[tuple[int, Answer | str]]]] = [
            self._threads.submit(self._ask, client, first) for first, client in enumerate(self._clients)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._threads.shutdown(wait=False)

    def answers(self) -> list[tuple[int, Answer | str]]:
        """What each was answered, with the value that it had sent."""
        return [one for running in self._running for one in running.result(PATIENCE_SECONDS)]

    def _ask(self, client: Callable[[int], Answer | str], value: int) -> list[tuple[int, Answer | str]]:
        answers = []
        while not self._ended.is_set():
            value = (value + len(self._clients)) % 200
            answers.append((value, client(value)))
        return answers


def test_a_service_waits_for_its_triton(repository: Path, tmp_path: Path) -> None:
    """Live but not ready, refusing with a date to come again, until Triton is there; then it serves."""
    ports = Ports.free()
    with starting(f"127.0.0.1:{ports.grpc}", repository) as service:
        assert str(ports.grpc) in service.wait_for_log("waiting for Triton")
        assert service.ask("GET", "/v2/health/live").status == 200
        assert not is_ready(service)
        assert_told_to_come_again(classify(service, 3))
        with closing(Tritonserver(tmp_path, repository, ports=ports)):
            service.wait_for_log(READY)
            assert is_ready(service)
            assert_right(classify(service, 3), 3)


def rpc(service: ServingProcess, value: int) -> str:
    """The same over gRPC: the label, or the status of the refusal."""
    with connected(Way(tritonclient.grpc), service) as client:
        try:
            return client.infer("tiny", np.full((1, 2, 2, 3), value, np.uint8)).labels[0]
        except InferenceServerException as error:
            return str(error.status())


def assert_right_or_told_to_come_again(answer: Answer | str, value: int) -> None:
    if isinstance(answer, str):
        assert answer in (f"value {value}", "StatusCode.UNAVAILABLE")
    elif answer.status == 200:
        assert_right(answer, value)
    else:
        assert_told_to_come_again(answer)


def test_a_triton_that_dies_under_load_and_comes_back_costs_refusals_and_nothing_else(
    triton: Tritonserver, repository: Path
) -> None:
    """Every request is answered: rightly, or by 503 and a date to come again. Nobody restarts the service."""
    with front_ends(triton, repository, []) as (service,):
        with Load(*(partial(ask, service) for ask in (classify, classify, classify, rpc))) as load:
            wait_for_images(service, 10)
            triton.kill()
            wait_for_readiness(service, False)
            assert service.ask("GET", "/v2/health/live").status == 200
            assert_told_to_come_again(classify(service, 7))
            triton.start()
            wait_for_readiness(service, True)
            assert_right(classify(service, 7), 7)
        for value, answer in load.answers():
            assert_right_or_told_to_come_again(answer, value)


def test_a_triton_that_hangs_holds_nobody(triton: Tritonserver, repository: Path) -> None:
    """Who set a deadline gets 504 when it passes; who set none gets 503 once Triton has not answered.

    What becomes of one that only says that it is ready is in `tests/backends/triton/test_misbehaviour.py`.
    """
    with front_ends(triton, repository, []) as (service,), ThreadPoolExecutor(4) as threads:
        triton.signal(signal.SIGSTOP)
        try:
            hurried = threads.submit(classify, service, 1, timeout_ms=100)
            patient = [threads.submit(classify, service, value) for value in (2, 3)]
            hurried.result(PATIENCE_SECONDS).assert_error(504, "deadline_exceeded")
            for waiting in patient:
                assert_told_to_come_again(waiting.result(PATIENCE_SECONDS))
            wait_for_readiness(service, False)
        finally:
            triton.signal(signal.SIGCONT)
        wait_for_readiness(service, True)
        assert_right(classify(service, 4), 4)


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (CLASSIFIER.replace("max_batch_size: 8", "max_batch_size: 4"), ["max_batch_size: 4 here, 8 there"]),
        (CLASSIFIER.replace("count: 1", "count: 2"), ["instance_group[0].count: 2 here, 1 there"]),
    ],
    ids=["batch size", "instances"],
)
def test_a_triton_that_serves_something_else_is_not_served_from(
    triton: Tritonserver, tmp_path: Path, ours: str, words: list[str]
) -> None:
    """The service ends, and says what differs."""
    with starting(triton.url, write_repository(tmp_path, classifier=ours)) as service:
        assert service.wait() != 0
        log = "".join(service.log)
        assert [word for word in [*words, "'classify'", triton.url] if word not in log] == []


def test_a_model_that_is_replaced_at_triton_is_not_served_from_until_it_is_itself_again(
    triton: Tritonserver, repository: Path
) -> None:
    def load(config: Any) -> None:
        asked = json.dumps({"parameters": {"config": json.dumps(config)}}).encode()
        status, body = triton.request("POST", "/v2/repository/models/classify/load", asked)
        assert status == 200, body

    own = json.loads(triton.get("/v2/models/classify/config")[1])
    with front_ends(triton, repository, []) as (service,):
        load({**own, "instance_group": [{"kind": "KIND_CPU", "count": 2}]})
        try:
            wait_for_readiness(service, False)
            assert "instance_group[0].count: 1 here, 2 there" in classify(service, 5).assert_error(503, "not_ready")
        finally:
            load(own)
        wait_for_readiness(service, True)
        assert_right(classify(service, 5), 5)


@contextmanager
def logging_verbosely(triton: Tritonserver) -> Iterator[None]:
    """For a while: only its log tells when an instance has taken a batch."""

    def log(level: int) -> None:
        status, body = triton.request("POST", "/v2/logging", b'{"log_verbose_level": %d}' % level)
        assert status == 200, body

    log(1)
    try:
        yield
    finally:
        log(0)


def test_images_of_two_services_share_tritons_batches(triton: Tritonserver, repository: Path) -> None:
    """What waits at Triton while its one instance is busy leaves as one batch, whoever sent it."""

    def sizes() -> dict[int, int]:
        found = triton.model_statistics("classify")["batch_stats"]
        return {one["batch_size"]: one["compute_infer"]["count"] for one in found}

    def waiting() -> float:
        return triton.metric("nv_inference_pending_request_count", model="classify")

    patient = ["--triton-timeout-seconds", "30"]
    with front_ends(triton, repository, patient, patient) as services, ThreadPoolExecutor(CALLS) as threads:
        before = sizes()
        triton.signal_model(signal.SIGSTOP, "classify")
        try:
            with logging_verbosely(triton):
                first = threads.submit(classify, services[0], 0)
                services[0].wait_until(lambda: "executing 1 requests" in triton.log())
            answers = [threads.submit(classify, services[value % 2], value) for value in range(1, 6)]
            services[0].wait_until(lambda: waiting() == len(answers))
        finally:
            triton.signal_model(signal.SIGCONT, "classify")
        for value, answer in enumerate([first, *answers]):
            assert_right(answer.result(PATIENCE_SECONDS), value)
        services[0].wait_until(lambda: sizes() == {**before, 1: before[1] + 1, 5: before.get(5, 0) + 1})
