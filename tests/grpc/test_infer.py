"""`ModelInfer` at its limits: what it holds, who it waits for, when it gives up, and what is reported of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.grpc_messages import image_message
from tests.testkit.rpc import Channel, answer_of, channel_to, reply_of
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.tiny_models import (
    FURTHER,
    HIGHEST_VALUE,
    WAITING_CONFIG,
    further,
    write_further_repository,
    write_tiny_repository,
)

ROUTE: Final = "grpc ModelInfer"
DARK: Final = np.full((1, 4, 4, 3), 7, np.uint8)
MEBIBYTE: Final = 1 << 20


@pytest.fixture(scope="module")
def tiny(tiny_repository: Path) -> Iterator[ServingProcess]:
    """The tiny ensemble, really run; messages of at most one mebibyte, half of it beside the pixels."""
    limits = ("--grpc-max-message-bytes", str(MEBIBYTE), "--max-json-bytes", str(MEBIBYTE // 2))
    with serving("--model-repository", str(tiny_repository), *limits) as process:
        yield process


@pytest.fixture
def channel(tiny: ServingProcess) -> Iterator[Channel]:
    with channel_to(tiny) as connection:
        yield connection


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A repository whose images wait an hour for company."""
    return write_tiny_repository(tmp_path / "models", classify_config=WAITING_CONFIG)


def labels(reply: Any) -> list[str]:
    """The best label of each image."""
    answer = answer_of(reply)
    count, width = answer.outputs[0].shape
    data, found = answer.raw_output_contents[0], []
    while data:
        length = int.from_bytes(data[:4], "little")
        found.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    assert len(found) == count * width
    return found[::width]


def assert_still_answers(channel: Channel) -> None:
    assert labels(channel.infer(image_message(DARK))) == ["value 7"]


def log_line(process: ServingProcess, request_id: str) -> dict[str, Any]:
    """The one line on this request."""
    line = process.wait_for_log(f'"request_id":"{request_id}"')
    assert sum(f'"request_id":"{request_id}"' in other for other in process.log) == 1
    return dict(json.loads(line))


# What is asked.


def test_images_are_answered_one_by_one_in_their_order(channel: Channel) -> None:
    images = np.stack([np.full((3, 5, 3), value, np.uint8) for value in (9, 3, 200, 3)])
    assert labels(channel.infer(image_message(images))) == ["value 9", "value 3", "value 200", "value 3"]


def test_further_outputs_are_answered_in_the_order_of_the_images(tmp_path: Path) -> None:
    """All of them, or those asked for."""
    images = np.stack([np.full((3, 5, 3), value, np.uint8) for value in (9, 3, 200, 3)])
    with (
        serving("--model-repository", str(write_further_repository(tmp_path))) as process,
        tritonclient.grpc.InferenceServerClient(process.grpc_address) as client,
    ):
        tensor = tritonclient.grpc.InferInput("image", images.shape, "UINT8")
        tensor.set_data_from_numpy(images)
        answer = client.infer("tiny", [tensor])
        for name, _, _ in FURTHER:
            expected = [further(value)[name] for value in (9, 3, 200, 3)]
            found = answer.as_numpy(name)
            assert (found.astype(str) if name == "tags" else found).tolist() == expected
        asked = [tritonclient.grpc.InferRequestedOutput("embedding")]
        only = client.infer("tiny", [tensor], outputs=asked).get_response()
        assert [output.name for output in only.outputs] == ["embedding"]
        described = client.get_model_metadata("tiny").outputs
        assert [(output.name, output.datatype) for output in described][3] == ("embedding", "FP32")


def test_pixels_may_come_as_numbers(channel: Channel) -> None:
    """Few, and so many that they are read on another thread."""
    for side in (4, 100):
        images = np.full((1, side, side, 3), 42, np.uint8)
        message = image_message(images, raw_input_contents=[])
        message.inputs[0].contents.uint_contents.extend(images.ravel().tolist())
        assert labels(channel.infer(message)) == ["value 42"]


def test_a_compressed_message_is_read(channel: Channel) -> None:
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert labels(channel.infer(image_message(DARK), compression=compression)) == ["value 7"]


def test_an_rpc_without_a_message_is_refused(channel: Channel) -> None:
    channel.stream("ModelInfer", []).assert_error("INVALID_ARGUMENT", "malformed_request")
    assert_still_answers(channel)


# What is held.


def test_a_message_that_is_too_long_is_told_what_to_do(channel: Channel) -> None:
    """Over HTTP the same image is welcome. The limit is of the message, whatever it is a message of."""
    images = np.zeros((1, 620, 620, 3), np.uint8)
    assert MEBIBYTE < images.nbytes < MEBIBYTE * 5 / 4
    text = channel.infer(image_message(images)).assert_error("RESOURCE_EXHAUSTED", "too_large")
    for named in (str(MEBIBYTE), "grpc_max_message_bytes", "HTTP", "JPEG", "smaller"):
        assert named in text
    other = channel.ask("ModelMetadata", bytes(MEBIBYTE + 1))
    other.assert_error("RESOURCE_EXHAUSTED", "too_large")
    assert_still_answers(channel)


def test_a_message_that_is_much_too_long_is_refused(channel: Channel) -> None:
    """By gRPC itself, before it is here, so without a code of ours."""
    images = np.zeros((1, 700, 700, 3), np.uint8)
    reply = channel.infer(image_message(images))
    assert (reply.status, str(MEBIBYTE * 5 // 4) in reply.text) == ("RESOURCE_EXHAUSTED", True)
    assert_still_answers(channel)


def test_compression_is_no_way_past_the_limit(channel: Channel) -> None:
    images = np.zeros((1, 5000, 5000, 3), np.uint8)
    reply = channel.infer(image_message(images), compression=grpc.Compression.Gzip)
    assert reply.status == "RESOURCE_EXHAUSTED"
    assert_still_answers(channel)


def test_too_many_numbers_are_refused(channel: Channel) -> None:
    message = image_message(DARK, raw_input_contents=[])
    message.inputs[0].contents.uint_contents.extend([200] * (MEBIBYTE // 3))
    text = channel.infer(message).assert_error("INVALID_ARGUMENT", "too_large")
    assert "raw_input_contents" in text
    assert_still_answers(channel)


def test_the_length_of_a_message_counts_against_the_bytes_held(waiting: Path) -> None:
    """Together with what others hold: here room for one message, but not for two."""
    image = image_message(np.zeros((1, 100, 100, 3), np.uint8))
    nbytes = len(image.SerializeToString())
    flags = ("--backend", "null", "--max-in-flight-bytes", "50000", "--max-body-bytes", "50000")
    with serving("--model-repository", str(waiting), *flags) as process, channel_to(process) as channel:
        held = channel.begin("ModelInfer", image)
        process.wait_until(lambda: process.metric("topfive_in_flight_bytes") == nbytes)
        assert "bytes" in channel.infer(image).assert_error("RESOURCE_EXHAUSTED", "queue_full")
        held.cancel()
        process.wait_until(lambda: process.metric("topfive_in_flight_bytes") == 0)


def test_one_request_more_than_may_be_in_flight_is_refused(waiting: Path) -> None:
    """Whether the others came over gRPC or over HTTP; and told when to come again."""
    flags = ("--backend", "null", "--max-in-flight-requests", "1")
    with serving("--model-repository", str(waiting), *flags) as process, channel_to(process) as channel:
        held = channel.begin("ModelInfer", image_message(DARK))
        process.wait_until(lambda: process.metric("topfive_in_flight") == 1)
        reply = channel.infer(image_message(DARK))
        reply.assert_error("RESOURCE_EXHAUSTED", "queue_full")
        assert int(reply.metadata["retry-after"]) >= 1
        process.classify(b"rgb", height=1, width=1).assert_error(429, "queue_full")
        held.cancel()


def test_one_rpc_more_than_there_are_places_is_refused_and_health_is_not(tiny_repository: Path) -> None:
    flags = ("--model-repository", str(tiny_repository), "--grpc-max-requests", "1")
    with serving(*flags) as process, channel_to(process) as slow, channel_to(process) as channel:

        def one_more_was_refused() -> bool:
            with slow.held() as held:
                while not held.done():  # else it was itself the one too many
                    reply = channel.infer(image_message(DARK))
                    if reply.status != "OK":  # else the held one had not arrived yet
                        text = reply.assert_error("RESOURCE_EXHAUSTED", "queue_full")
                        assert "grpc_max_requests" in text
                        assert channel.ask("ServerReady").read(pb.ServerReadyResponse).ready
                        model = pb.ModelReadyRequest(name="tiny")
                        assert channel.ask("ModelReady", model).read(pb.ModelReadyResponse).ready
                        return True
            return False

        process.wait_until(one_more_was_refused)
        process.wait_until(lambda: channel.infer(image_message(DARK)).status == "OK")


# When it gives up.


def test_a_message_that_does_not_come_is_not_waited_for(tiny_repository: Path) -> None:
    flags = ("--model-repository", str(tiny_repository), "--body-seconds", "0.1", "--head-seconds", "0.1")
    with serving(*flags) as process, channel_to(process) as channel:
        for method in ("ModelInfer", "ModelMetadata"):
            with channel.held(method) as call:
                text = reply_of(call).assert_error("DEADLINE_EXCEEDED", "deadline_exceeded")
                assert "did not come within 0.1 s" in text
        assert_still_answers(channel)


def test_a_client_that_leaves_takes_its_images_out_of_the_queue(waiting: Path) -> None:
    """By cancelling, by its deadline, or by closing its connection; none reaches a graph, and each is counted."""
    with serving("--model-repository", str(waiting), "--backend", "null") as process:

        def queued(images: int) -> None:
            process.wait_until(lambda: process.metric("topfive_queue_items") == images)

        with channel_to(process) as channel:
            call = channel.begin("ModelInfer", image_message(np.zeros((3, 4, 4, 3), np.uint8)))
            queued(3)
            assert process.metric("topfive_grpc_places") == 1
            call.cancel()
            queued(0)
            assert channel.infer(image_message(DARK), seconds=0.2).status == "DEADLINE_EXCEEDED"
            queued(0)
            left = channel.begin("ModelInfer", image_message(DARK))
            queued(1)
        queued(0)
        assert left.done()
        gone = sum(process.metric("topfive_rejected_total", reason=reason) for reason in ("cancelled", "expired"))
        assert gone == 5
        assert process.metric("topfive_batch_size_count") == 0
        statuses = [json.loads(line)["status"] for line in process.log if ROUTE in line]
        assert statuses == [499, 504, 499]  # a deadline is the service's to keep, whoever notices first that it passed


def test_a_request_may_ask_for_less_time(channel: Channel) -> None:
    message = image_message(DARK)
    message.parameters["timeout"].int64_param = 1
    text = channel.infer(message).assert_error("DEADLINE_EXCEEDED", "deadline_exceeded")
    assert "deadline" in text


# What is reported.


def test_it_is_reported_as_a_request_over_http_is(tiny: ServingProcess, channel: Channel) -> None:
    """The same fields in the log, the same histogram; by the status that HTTP would have answered."""
    answered = channel.infer(image_message(DARK), metadata=(("x-request-id", "over-grpc"),))
    assert answered.metadata["x-request-id"] == "over-grpc"
    headers = {"Content-Type": "application/octet-stream", "X-Request-Id": "over-http"}
    assert tiny.ask("POST", "/v1/classify?model=tiny&height=4&width=4", DARK.tobytes(), headers).status == 200
    line, other = log_line(tiny, "over-grpc"), log_line(tiny, "over-http")
    assert set(line) == set(other)
    assert (line["route"], line["model"], line["status"], line["images"]) == (ROUTE, "tiny", 200, 1)
    assert line["body_bytes"] == len(image_message(DARK).SerializeToString())


@pytest.mark.parametrize(
    ("message", "status", "code", "model"),
    [
        (image_message(DARK), "OK", 200, "tiny"),
        (image_message(DARK, id="x" * 5000), "INVALID_ARGUMENT", 400, "tiny"),
        (image_message(DARK, model_name="nope"), "NOT_FOUND", 404, ""),
        (image_message(DARK, model_version="9"), "NOT_FOUND", 404, ""),
    ],
)
def test_each_end_is_counted_once(
    tiny: ServingProcess, channel: Channel, message: Any, status: str, code: int, model: str
) -> None:
    def counted() -> float:
        name = "topfive_request_duration_seconds_count"
        return tiny.metric(name, route=ROUTE, model=model, code=str(code))

    before = counted()
    assert channel.infer(message).status == status
    assert counted() == before + 1


def test_a_failure_of_ours_says_where_to_look(channel: Channel, tiny: ServingProcess) -> None:
    """Without internals; under the id that it names, the log has all of them. Others are not touched."""
    bright = np.full((1, 4, 4, 3), HIGHEST_VALUE + 1, np.uint8)
    reply = channel.infer(image_message(bright))
    text = reply.assert_error("INTERNAL", "internal")
    request_id = reply.metadata["x-request-id"]
    assert request_id in text
    assert "Gather" not in text
    assert "Gather" in tiny.wait_for_log(f"request {request_id} failed")
    assert_still_answers(channel)
