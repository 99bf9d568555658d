"""`POST /v2/models/{model}/infer` over real sockets: what is answered, in which form, and what is refused.

That stock clients are served is in `tests/end_to_end/test_clients.py`; here requests are bytes, made by hand.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from tests.conftest import Photo
from tests.testkit.malformed_infer import LENGTH, MAX_JSON_BYTES, WRONG, Wrong
from tests.testkit.oip_bodies import (
    Body,
    binary_body,
    binary_image,
    image_input,
    json_body,
    json_image,
    read_outputs,
)
from tests.testkit.serving_process import RAW, Answer, HeldRequest, ServingProcess, ask, read_answer, serving
from tests.testkit.tiny_models import (
    BATCHING,
    FURTHER,
    HIGHEST_VALUE,
    IMAGE,
    OUTPUTS,
    PIXELS,
    PROBABILITIES,
    WAITING_CONFIG,
    classifier_graph,
    config,
    further,
    write_further_repository,
    write_model,
    write_tiny_repository,
)

INFER: Final = "/v2/models/tiny/infer"
NAMES: Final = ["classes", "probabilities", "indices"]
BOTH_VERSIONS: Final = BATCHING + "version_policy { all { } }\n"
POLICY: Final = """dynamic_batching {
  max_queue_delay_microseconds: 3600000000
  default_queue_policy { default_timeout_microseconds: 3600000000 allow_timeout_override: true }
}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """`tiny` and its steps; `old`, in versions 2 and 10, of which 2 says "old"; names that a URL must escape."""
    repository = write_tiny_repository(tmp_path_factory.mktemp("infer"))
    folder = write_model(
        repository, "old", config([PIXELS], OUTPUTS, BOTH_VERSIONS), classifier_graph(), versions=[2, 10]
    )
    (folder / "2" / "model.onnx").write_bytes(classifier_graph(prefix="old"))
    write_model(repository, "größe 50%", config([IMAGE], OUTPUTS, BATCHING), classifier_graph(IMAGE))
    flags = ("--max-json-bytes", str(MAX_JSON_BYTES), "--max-body-bytes", "40000000")
    with serving("--model-repository", str(repository), *flags) as process:
        yield process


def images(*values: int, size: tuple[int, int] = (2, 2)) -> NDArray[np.uint8]:
    """A batch of plain images, one of each value."""
    return np.stack([np.full((*size, 3), value, np.uint8) for value in values])


def infer(service: ServingProcess, body: Body, path: str = INFER, headers: Mapping[str, str] | None = None) -> Answer:
    return service.ask("POST", path, body.content, {**body.headers, **(headers or {})})


def outputs_of(answer: Answer) -> dict[str, NDArray[Any]]:
    """The outputs of a good answer, whose headers say how it is to be read."""
    assert answer.status == 200, answer
    stated = answer.headers[LENGTH]
    assert answer.headers["content-type"] == ("application/json" if stated is None else RAW)
    assert int(answer.headers["content-length"]) == len(answer.body)
    return read_outputs(answer.body, None if stated is None else int(stated))[1]


def json_of(answer: Answer) -> dict[str, Any]:
    """The JSON part of a good answer."""
    assert answer.status == 200, answer
    stated = answer.headers[LENGTH]
    document: dict[str, Any] = json.loads(answer.body if stated is None else answer.body[: int(stated)])
    return document


def assert_labelled(outputs: Mapping[str, NDArray[Any]], *values: int, prefix: str = "value") -> None:
    """That these are the tiny classifier's outputs for images of `values`, in their order."""
    if "classes" in outputs:
        assert outputs["classes"].tolist() == [[f"{prefix} {value + rank}" for rank in range(5)] for value in values]
    if "indices" in outputs:
        assert outputs["indices"].tolist() == [[value + rank for rank in range(5)] for value in values]
    if "probabilities" in outputs:
        assert outputs["probabilities"].tolist() == [list(PROBABILITIES)] * len(values)


# What is answered.


@pytest.mark.parametrize("make", [json_image, binary_image])
def test_the_answer_has_every_output_of_the_model(tiny: ServingProcess, make: Any) -> None:
    answer = infer(tiny, make(images(7)))
    assert json_of(answer) == {
        "model_name": "tiny",
        "model_version": "1",
        "outputs": [
            {"name": "classes", "datatype": "BYTES", "shape": [1, 5], "data": [f"value {n}" for n in range(7, 12)]},
            {"name": "probabilities", "datatype": "FP32", "shape": [1, 5], "data": list(PROBABILITIES)},
            {"name": "indices", "datatype": "INT64", "shape": [1, 5], "data": [7, 8, 9, 10, 11]},
        ],
    }
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers[LENGTH] is None
    assert answer.headers["content-encoding"] is None


def test_real_models_answer_as_on_the_other_route(service: ServingProcess, cat: Photo) -> None:
    """Binary there and back, and every float the same as in JSON."""
    model = "efficientnet_lite0"
    path = f"/v2/models/{model}/infer"
    binary = outputs_of(infer(service, binary_image(cat[np.newaxis], parameters={"binary_data_output": True}), path))
    written = outputs_of(infer(service, binary_image(cat[np.newaxis]), path))
    height, width, _ = cat.shape
    predictions = service.classify(cat.tobytes(), height=height, width=width).json["predictions"]
    for name, key in (("classes", "label"), ("indices", "index")):
        assert binary[name].tolist() == written[name].tolist() == [[each[key] for each in predictions]]
    expected = [each["probability"] for each in predictions]
    assert binary["probabilities"][0].tolist() == pytest.approx(expected, abs=1e-4)


def test_pixels_as_json_mean_the_pixels(service: ServingProcess, cat: Photo) -> None:
    small = np.ascontiguousarray(cat[100:140, 100:150])[np.newaxis]
    path = "/v2/models/efficientnet_lite0/infer"
    flat = json_body({"inputs": [image_input(small.shape, data=small.ravel().tolist())]})
    found = [outputs_of(infer(service, body, path)) for body in (binary_image(small), json_image(small), flat)]
    for outputs in found:
        assert outputs["classes"].tolist() == found[0]["classes"].tolist()
        assert outputs["probabilities"] == pytest.approx(found[0]["probabilities"], abs=1e-4)


def test_a_batch_is_answered_in_its_order(tiny: ServingProcess) -> None:
    """As many as the graph takes at once; each may run in another batch."""
    values = (5, 200, 5, 0, HIGHEST_VALUE, 17, 3, 99)
    for make in (json_image, binary_image):
        assert_labelled(outputs_of(infer(tiny, make(images(*values)))), *values)
    together = binary_image(images(*values), parameters={"binary_data_output": True})
    assert_labelled(outputs_of(infer(tiny, together)), *values)


def test_clients_at_once_get_their_own_answers(tiny: ServingProcess) -> None:
    requests = [
        (values, (binary_image if step % 2 else json_image)(images(*values, size=(2 + step % 3, 3)), id=str(step)))
        for step in range(60)
        for values in [tuple((step * 7 + rank * 31) % HIGHEST_VALUE for rank in range(1 + step % 4))]
    ]
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda request: infer(tiny, request[1]), requests))
    for step, ((values, _), answer) in enumerate(zip(requests, answers, strict=True)):
        assert_labelled(outputs_of(answer), *values)
        assert json_of(answer)["id"] == str(step)


def test_an_image_of_twelve_megapixels_is_answered(tiny: ServingProcess) -> None:
    photo = images(42, size=(3000, 4000))
    assert_labelled(outputs_of(infer(tiny, binary_image(photo))), 42)


@pytest.mark.parametrize("pieces", [1, 5])
def test_a_body_may_come_in_chunks(tiny: ServingProcess, pieces: int) -> None:
    for body in (json_image(images(9, 8)), binary_image(images(9, 8))):
        size = -(-len(body.content) // pieces)
        chunks = [body.content[start : start + size] for start in range(0, len(body.content), size)]
        answer = tiny.ask("POST", INFER, iter(chunks), body.headers)
        assert_labelled(outputs_of(answer), 9, 8)


def test_requests_may_follow_one_another_without_waiting(tiny: ServingProcess) -> None:
    """Pipelined, with a bad one among them: each is answered in its turn."""
    bodies = [binary_image(images(value)) for value in (1, 2, 3)]
    bodies.insert(1, Body(b"{}", None))
    with tiny.open_socket() as connection:
        for body in bodies:
            head = [f"POST {INFER} HTTP/1.1", "Host: test", f"Content-Length: {len(body.content)}"]
            head += [f"{name}: {value}" for name, value in body.headers.items()]
            connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body.content)
        with connection.makefile("rb") as answers:
            found = []
            for _ in bodies:
                status = int(answers.readline().split()[1])
                headers = http.client.parse_headers(answers)
                document = json.loads(answers.read(int(headers["content-length"])))
                found.append((status, document["outputs"][0]["data"][0] if status == 200 else None))
    assert found == [(200, "value 1"), (400, None), (200, "value 2"), (200, "value 3")]


@pytest.mark.parametrize("content_type", [None, "", "application/json", RAW, "text/plain; charset=x", "nonsense"])
def test_content_type_is_not_looked_at(tiny: ServingProcess, content_type: str | None) -> None:
    """The stock client sends none at all."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    for body in (json_image(images(3)), binary_image(images(3))):
        assert_labelled(outputs_of(infer(tiny, body, headers=headers)), 3)


def test_the_json_length_may_be_that_of_the_whole_body(tiny: ServingProcess) -> None:
    """As perf_analyzer says it of requests that are all JSON; the header's name is of any case."""
    body = json_image(images(3))
    for name in (LENGTH, LENGTH.lower(), LENGTH.upper()):
        assert_labelled(outputs_of(tiny.ask("POST", INFER, body.content, {name: str(len(body.content))})), 3)
    padded = {LENGTH: f"{len(body.content):018}"}
    assert_labelled(outputs_of(tiny.ask("POST", INFER, body.content, padded)), 3)


@pytest.mark.parametrize("given", ["", "42", "ünïcödé 猫 \N{CAT FACE}", '"\\\n\0', "x" * 4096])
@pytest.mark.parametrize("binary", [False, True])
def test_the_id_comes_back_as_it_was_given(tiny: ServingProcess, given: str, binary: bool) -> None:
    """And Inference-Header-Content-Length counts bytes, not characters, of the JSON that holds it."""
    answer = infer(tiny, binary_image(images(3), id=given, parameters={"binary_data_output": binary}))
    assert_labelled(outputs_of(answer), 3)
    assert json_of(answer)["id"] == given


@pytest.mark.parametrize("more", [{}, {"id": None}])
def test_without_an_id_there_is_none_in_the_answer(tiny: ServingProcess, more: dict[str, Any]) -> None:
    assert "id" not in json_of(infer(tiny, binary_image(images(3), **more)))


def test_unknown_keys_and_parameters_are_passed_over(tiny: ServingProcess) -> None:
    tensor = image_input((1, 2, 2, 3), data=[3] * 12, parameters={"colour": "RGB"}, layout="NHWC")
    body = json_body(
        {
            "model_name": "other",
            "inputs": [tensor],
            "outputs": [{"name": "classes", "parameters": {"x": 1.5}, "shape": [7]}],
            "parameters": {"sequence_id": 3, "sequence_start": True, "headers": "x", "weight": 0.5},
            "x": [None],
        }
    )
    assert_labelled(outputs_of(infer(tiny, body)), 3)


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """The tiny ensemble, which passes further outputs of its classifier on."""
    with serving("--model-repository", str(write_further_repository(tmp_path_factory.mktemp("models")))) as process:
        yield process


@pytest.mark.parametrize("make", [json_image, binary_image])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("model", ["tiny", "classify"])
def test_further_outputs_are_answered_in_the_order_of_the_images(
    embedding: ServingProcess, make: Any, binary: bool, model: str
) -> None:
    """Of every datatype; whether the ensemble passes them on, or the classifier is asked."""
    values = (9, 3, 200, 3)
    body = make(images(*values), parameters={"binary_data_output": binary})
    if model == "classify":
        text = body.content.replace(b'"image"', b'"pixels"')
        body = Body(text, None if body.json_length is None else body.json_length + 1)
    outputs = outputs_of(infer(embedding, body, f"/v2/models/{model}/infer"))
    assert_labelled(outputs, *values)
    assert list(outputs) == NAMES + [name for name, _, _ in FURTHER]
    for place, value in enumerate(values):
        assert {name: outputs[name][place].tolist() for name, _, _ in FURTHER} == further(value)


def test_of_further_outputs_only_those_asked_for_are_answered(embedding: ServingProcess) -> None:
    request = binary_image(images(7, 8), outputs=[{"name": "embedding", "parameters": {"binary_data": True}}])
    outputs = outputs_of(infer(embedding, request))
    assert {name: values.tolist() for name, values in outputs.items()} == {
        "embedding": [further(value)["embedding"] for value in (7, 8)]
    }


def test_further_outputs_of_many_clients_are_each_their_own(embedding: ServingProcess) -> None:
    """Though they share batches."""

    def ask_for(value: int) -> list[float]:
        answered: list[float] = outputs_of(infer(embedding, binary_image(images(value))))["embedding"][0].tolist()
        return answered

    values = list(range(2, 66))
    with ThreadPoolExecutor(16) as clients:
        assert list(clients.map(ask_for, values)) == [further(value)["embedding"] for value in values]


def test_further_outputs_are_described_and_not_in_the_short_answer(embedding: ServingProcess) -> None:
    described = embedding.ask("GET", "/v2/models/tiny").json["outputs"]
    assert {"name": "embedding", "datatype": "FP32", "shape": [-1, 4]} in described
    assert len(described) == len(NAMES) + len(FURTHER)
    answer = embedding.classify(images(7).tobytes(), height=2, width=2)
    assert set(answer.json) == {"model", "version", "predictions"}
    assert embedding.ask("GET", "/v2/models/tiny/stats").json["model_stats"][0]["inference_count"] > 0


# In which form.

DEFAULT: Final = None
FLAGS: Final[list[tuple[bool | None, list[tuple[str, bool | None]] | None, list[tuple[str, bool]]]]] = [
    (DEFAULT, None, [("classes", False), ("probabilities", False), ("indices", False)]),
    (False, None, [("classes", False), ("probabilities", False), ("indices", False)]),
    (True, None, [("classes", True), ("probabilities", True), ("indices", True)]),
    (True, [], [("classes", True), ("probabilities", True), ("indices", True)]),
    (DEFAULT, [("indices", True)], [("indices", True)]),
    (DEFAULT, [("indices", True), ("classes", DEFAULT)], [("classes", False), ("indices", True)]),
    (True, [("indices", DEFAULT), ("classes", False)], [("classes", False), ("indices", True)]),
    (True, [("classes", False)], [("classes", False)]),
    (False, [("classes", True)], [("classes", True)]),
    (DEFAULT, [("probabilities", DEFAULT)], [("probabilities", False)]),
    (DEFAULT, [("classes", True), ("classes", True)], [("classes", True)]),
]


@pytest.mark.parametrize(("whole", "asked", "answered"), FLAGS)
def test_outputs_are_those_asked_for_in_the_form_asked_for(
    tiny: ServingProcess,
    whole: bool | None,
    asked: list[tuple[str, bool | None]] | None,
    answered: list[tuple[str, bool]],
) -> None:
    """An output's own flag overrides the request's; the order is the model's."""
    request: dict[str, Any] = {"inputs": [image_input((1, 2, 2, 3), data=[7] * 12)]}
    if whole is not DEFAULT:
        request["parameters"] = {"binary_data_output": whole}
    if asked is not None:
        request["outputs"] = [
            {"name": name} if flag is DEFAULT else {"name": name, "parameters": {"binary_data": flag}}
            for name, flag in asked
        ]
    answer = infer(tiny, json_body(request))
    assert_labelled(outputs_of(answer), 7)
    described = json_of(answer)["outputs"]
    assert [(output["name"], "parameters" in output) for output in described] == answered
    assert all(set(output) == {"name", "shape", "datatype", "data"} for output in described if "data" in output)


def test_a_raw_body_is_one_image_for_a_model_of_one_size(tiny: ServingProcess) -> None:
    """Nothing but its bytes, and all outputs come back as bytes."""
    answer = tiny.ask("POST", "/v2/models/classify/infer", bytes([7] * 12), {LENGTH: "0"})
    assert_labelled(outputs_of(answer), 7)
    assert [set(output) for output in json_of(answer)["outputs"]] == [{"name", "datatype", "shape", "parameters"}] * 3
    for size in (0, 11, 13, 24):
        refused = tiny.ask("POST", "/v2/models/classify/infer", bytes(size), {LENGTH: "0"})
        assert f"has 12 bytes of UINT8, got {size}" in refused.assert_error(400, "malformed_request")


def test_a_raw_body_is_taken_by_the_real_classifier(service: ServingProcess, cat: Photo) -> None:
    crop = np.ascontiguousarray(cat[:224, :224])
    path = "/v2/models/efficientnet_lite0_classify/infer"
    by_bytes = outputs_of(service.ask("POST", path, crop.tobytes(), {LENGTH: "0"}))
    described = image_input((1, 224, 224, 3), name="pixels", parameters={"binary_data_size": crop.nbytes})
    by_json = outputs_of(infer(service, binary_body({"inputs": [described]}, crop.tobytes()), path))
    assert by_bytes["indices"].tolist() == by_json["indices"].tolist()


ACCEPTED: Final = {
    "gzip": "gzip",
    "deflate": "deflate",
    "GZip": "gzip",
    "gzip, deflate, br": "gzip",
    "deflate, gzip": "deflate",
    "br, deflate;q=0.5": "deflate",
    "gzip;q=0.3, deflate;q=0.7": "deflate",
    "gzip;q=0.5, identity": None,
    "identity, gzip": None,
    "gzip;q=0": None,
    "gzip;q=x": None,
    "gzip;q=-1": None,
    "identity": None,
    "br": None,
    "*": None,
    "": None,
    ",,;;q=,=": None,
    "," * 20_000 + "gzip": None,
}


@pytest.mark.parametrize(("accepted", "coding"), ACCEPTED.items(), ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("binary", [False, True])
def test_answers_are_compressed_when_asked_for(
    tiny: ServingProcess, accepted: str, coding: str | None, binary: bool
) -> None:
    """With gzip or deflate, whichever is wanted most; lengths within the answer are those of what was compressed."""
    body = binary_image(images(7), parameters={"binary_data_output": binary})
    answer = infer(tiny, body, headers={"Accept-Encoding": accepted})
    assert answer.headers["content-encoding"] == coding
    assert answer.headers["vary"] == (None if coding is None else "accept-encoding")
    assert int(answer.headers["content-length"]) == len(answer.body)
    whole = gzip.decompress(answer.body) if coding == "gzip" else answer.body
    whole = zlib.decompress(answer.body) if coding == "deflate" else whole
    stated = answer.headers[LENGTH]
    assert (stated is not None) == binary
    assert_labelled(read_outputs(whole, None if stated is None else int(stated))[1], 7)


def test_accept_encoding_may_come_on_several_lines(tiny: ServingProcess) -> None:
    body = json_image(images(7))
    with tiny.open_socket() as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: br;q=1\r\nAccept-Encoding: gzip\r\n"
        connection.sendall(f"{head}Content-Length: {len(body.content)}\r\n\r\n".encode() + body.content)
        answer = read_answer(connection)
    assert answer.headers["content-encoding"] == "gzip"


def test_errors_are_not_compressed(tiny: ServingProcess) -> None:
    answer = infer(tiny, Body(b"{}", None), headers={"Accept-Encoding": "gzip"})
    answer.assert_error(400, "malformed_request")
    assert answer.headers["content-encoding"] is None


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)])
@pytest.mark.parametrize("chunked", [False, True])
def test_requests_may_be_compressed(tiny: ServingProcess, coding: str, compress: Any, chunked: bool) -> None:
    """JSON and tensors in one stream; the JSON's length is that of what was compressed."""
    for body in (json_image(images(7, 8)), binary_image(images(7, 8)), binary_image(images(7, 8, size=(300, 400)))):
        content = compress(body.content)
        pieces = iter([content[:50], content[50:]]) if chunked else content
        answer = tiny.ask("POST", INFER, pieces, {**body.headers, "Content-Encoding": coding})
        assert_labelled(outputs_of(answer), 7, 8)


def memory_of(service: ServingProcess) -> int:
    return int(psutil.Process(service.pid).memory_info().rss)


@pytest.mark.parametrize(
    ("headers", "mebibytes", "limit", "most"), [({}, 16, MAX_JSON_BYTES, 20), ({LENGTH: "100"}, 1024, 40_000_000, 80)]
)
def test_a_bomb_is_refused_in_bounded_memory(
    tiny: ServingProcess, headers: dict[str, str], mebibytes: int, limit: int, most: int
) -> None:
    """It is inflated up to the longest body that is taken, of JSON or with its tensors; not to a thousand times."""
    deflater = zlib.compressobj(1, wbits=31)
    mebibyte = bytes(1 << 20)
    bomb = b"".join(deflater.compress(mebibyte) for _ in range(mebibytes)) + deflater.flush()
    assert len(bomb) < mebibytes * 5000
    assert infer(tiny, json_image(images(7))).status == 200
    before = memory_of(tiny)
    with ThreadPoolExecutor(1) as watcher:
        done: list[bool] = []
        peak = watcher.submit(lambda: max(iter(lambda: -1 if done else memory_of(tiny), -1)))
        answer = tiny.ask("POST", INFER, iter([bomb]), {"Content-Encoding": "gzip", **headers})
        done.append(True)
    assert f"inflates to more than {limit} bytes" in answer.assert_error(413, "too_large")
    assert peak.result() - before < most << 20
    assert tiny.metric("topfive_in_flight_bytes") == 0


# Names and versions.


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("tiny", "value"),
        ("classify", "value"),
        ("old", "value"),
        ("old/versions/10", "value"),
        ("old/versions/2", "old"),
    ],
)
def test_a_version_is_chosen_in_the_path(tiny: ServingProcess, model: str, value: str) -> None:
    """Without, the highest as a number; its name in the answer is a string."""
    pixels = image_input((1, 2, 2, 3), name="image" if model == "tiny" else "pixels", data=[7] * 12)
    answer = infer(tiny, json_body({"inputs": [pixels]}), f"/v2/models/{model}/infer")
    assert_labelled(outputs_of(answer), 7, prefix=value)
    name, _, version = model.partition("/versions/")
    served = version or ("10" if name == "old" else "1")
    assert (json_of(answer)["model_name"], json_of(answer)["model_version"]) == (name, served)


@pytest.mark.parametrize("escaped", ["%74iny", "t%69n%79", "tiny?x=1&version=9", "tiny?", quote("größe 50%")])
def test_names_may_be_escaped_and_queries_are_ignored(tiny: ServingProcess, escaped: str) -> None:
    name, mark, query = escaped.partition("?")
    path = f"/v2/models/{name}/infer{mark}{query}"
    assert_labelled(outputs_of(infer(tiny, json_image(images(7)), path)), 7)


@pytest.mark.parametrize(
    "model",
    [
        *("nope", "Tiny", "tiny%20", "%00", "%FF", "crop", "..", "x" * 5000, "tiny/versions/2", "tiny/versions/0"),
        *("tiny/versions/-1", "tiny/versions/1.0", "tiny/versions/+1", "tiny/versions/1_0", "tiny/versions/latest"),
        *("tiny/versions/%D9%A1", "tiny/versions/%201", f"tiny/versions/{'9' * 5000}", "old/versions/1"),
    ],
)
def test_404_for_a_model_or_version_that_is_not_served(tiny: ServingProcess, model: str) -> None:
    """Whatever the body is: it is not read."""
    for content in (b"", b"{}", binary_image(images(7)).content):
        answer = tiny.ask("POST", f"/v2/models/{model}/infer", content)
        assert len(answer.assert_error(404, "unknown_model")) < 400


@pytest.mark.parametrize(
    "path",
    [
        *("/v2/models/tiny/infer/", "/v2/models//infer", "/v2/models/ti%2Fny/infer", "//v2/models/tiny/infer"),
        *("/v2/models/tiny/versions//infer", "/v2/models/tiny/versions/1/1/infer", "/v2/models/tiny//infer"),
        *("/V2/models/tiny/infer", "/v2/models/tiny/inferx", "/v2/models/tiny/version/1/infer", "/v2/tiny/infer"),
    ],
)
def test_404_for_another_path(tiny: ServingProcess, path: str) -> None:
    infer(tiny, json_image(images(7)), path).assert_error(404, "not_found")


@pytest.mark.parametrize("path", [INFER, "/v2/models/tiny/versions/1/infer", "/v2/models/nope/infer"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
def test_405_for_another_method(tiny: ServingProcess, path: str, method: str) -> None:
    with tiny.connect() as connection:
        answer = ask(connection, method, path)
        assert answer.status == 405
        assert answer.headers["allow"] == "POST"
        if method == "HEAD":
            assert answer.body == b""
        else:
            answer.assert_error(405, "method_not_allowed")
        assert ask(connection, "GET", "/v2/health/live").status == 200, "the next answer is in step"


# What is refused.


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_malformed_request_is_refused_and_the_next_on_its_connection_answered(
    tiny: ServingProcess, wrong: Wrong
) -> None:
    with tiny.connect() as connection:
        answer = ask(connection, "POST", INFER, wrong.content, wrong.headers)  # type: ignore[arg-type]  # bytes are sent too
        assert wrong.word in answer.assert_error(wrong.status, wrong.code)
        assert len(answer.body) < 1500, "nothing of what was sent comes back at length"
        good = binary_image(images(7), id=wrong.name)
        assert_labelled(outputs_of(ask(connection, "POST", INFER, good.content, good.headers)), 7)


def test_the_table_of_malformed_requests_has_every_class() -> None:
    """Guards the test above against finding nothing to ask."""
    assert len(WRONG) > 300
    assert {wrong.status for wrong in WRONG} == {400, 413, 415}


def test_malformed_requests_leave_nothing_behind(tiny: ServingProcess) -> None:
    """No byte, no place, no line of a defect in the log."""
    with tiny.connect() as connection:
        for wrong in WRONG:
            ask(connection, "POST", INFER, wrong.content, wrong.headers)  # type: ignore[arg-type]  # bytes are sent too
    assert tiny.metric("topfive_in_flight_bytes") == tiny.metric("topfive_in_flight") == 0
    assert tiny.metric("topfive_queue_items") == 0
    assert not [line for line in tiny.log if "Traceback" in line or '"status":5' in line]
    assert_labelled(outputs_of(infer(tiny, json_image(images(7)))), 7)


@pytest.mark.parametrize(
    ("status", "headers", "length"),
    [
        (413, {}, 10**10),
        (413, {LENGTH: "100"}, 10**10),
        (413, {LENGTH: "100"}, 40_000_001),
        (413, {"Content-Encoding": "gzip"}, 10**10),
        (413, {}, MAX_JSON_BYTES + 1),
        (413, {LENGTH: str(MAX_JSON_BYTES + 1)}, 10**6),
        (400, {LENGTH: "1000001"}, 10**6),
        (400, {LENGTH: "x"}, 10**6),
        (415, {"Content-Encoding": "br"}, 10**6),
        (404, {}, 10**10),
        (405, {}, 10**10),
    ],
)
def test_a_refusal_does_not_wait_for_the_body(
    tiny: ServingProcess, status: int, headers: dict[str, str], length: int
) -> None:
    """As much as 10 GB are announced and nothing is sent; a client that asks first is not told to go on."""
    method = "PUT" if status == 405 else "POST"
    path = "/v2/models/nope/infer" if status == 404 else INFER
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {length}", "Expect: 100-continue", *lines]
    with tiny.open_socket() as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        assert connection.recv(12) == f"HTTP/1.1 {status}".encode()


def test_413_for_a_chunked_body_as_soon_as_it_is_too_long(tiny: ServingProcess) -> None:
    """All of JSON, or JSON and tensors: each has its limit."""
    for headers, limit in (({}, MAX_JSON_BYTES), ({LENGTH: "100"}, 40_000_000)):
        with tiny.open_socket() as connection:
            lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
            head = f"POST {INFER} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n{''.join(lines)}\r\n"
            size = limit + 1
            connection.sendall(head.encode() + f"{size:x}\r\n".encode() + b" " * size + b"\r\n")
            read_answer(connection).assert_error(413, "too_large")  # the last chunk is still on its way


def test_413_for_more_images_than_can_ever_wait(tmp_path: Path) -> None:
    waiting = WAITING_CONFIG.replace("3600000000 }", "3600000000 default_queue_policy { max_queue_size: 2 } }")
    repository = write_tiny_repository(tmp_path, classify_config=waiting)
    with serving("--backend", "null", "--model-repository", str(repository)) as service:
        infer(service, binary_image(images(1, 2, 3))).assert_error(413, "too_large")


def test_429_when_the_queue_is_full_and_nobody_else_is_disturbed(tmp_path: Path) -> None:
    """A request takes all its places or none."""
    waiting = WAITING_CONFIG.replace("3600000000 }", "3600000000 default_queue_policy { max_queue_size: 8 } }")
    repository = write_tiny_repository(tmp_path, classify_config=waiting)
    flags = ("--backend", "null", "--model-repository", str(repository))
    with serving(*flags) as service, ThreadPoolExecutor(1) as client:
        endless = {"timeout": 2**63 - 1}
        held = client.submit(infer, service, binary_image(images(1, 2, 3, 4, 5), parameters=endless))
        service.wait_until(lambda: service.metric("topfive_queue_items") == 5)
        answer = infer(service, binary_image(images(1, 2, 3, 4)))
        answer.assert_error(429, "queue_full")
        assert int(answer.headers["retry-after"]) >= 1
        assert service.metric("topfive_queue_items") == 5
        assert infer(service, binary_image(images(1, 2, 3))).status == 200, "they fill the batch"
        assert held.result().status == 200


def test_500_for_a_graph_that_fails_tells_where_to_look_and_no_more(tiny: ServingProcess) -> None:
    failing = binary_image(images(HIGHEST_VALUE + 10), id="poison")
    answer = infer(tiny, failing)
    message = answer.assert_error(500, "internal")
    assert answer.headers["x-request-id"] in message
    assert "indices" not in message, "no internals"
    assert_labelled(outputs_of(infer(tiny, binary_image(images(7)))), 7)


# Time and order.


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """A model whose requests wait for an hour, unless they say otherwise."""
    classify = config([PIXELS], OUTPUTS, POLICY)
    repository = write_tiny_repository(tmp_path_factory.mktemp("patient"), classify_config=classify)
    with serving("--backend", "null", "--model-repository", str(repository)) as process:
        yield process


def test_504_when_the_timeout_of_the_request_passes(patient: ServingProcess) -> None:
    """It is in microseconds, and what it drops never reaches the graph."""
    before = patient.metric("topfive_rejected_total", reason="expired")
    answer = infer(patient, binary_image(images(7), parameters={"timeout": 20_000}))
    message = answer.assert_error(504, "deadline_exceeded")
    assert re.search(r"after \d+\.\d{3} s in the queue", message)
    assert patient.metric("topfive_rejected_total", reason="expired") == before + 1
    assert patient.metric("topfive_queue_items") == 0


def test_a_timeout_of_a_microsecond_is_over_before_anything_is_done(patient: ServingProcess) -> None:
    infer(patient, binary_image(images(7), parameters={"timeout": 1})).assert_error(504, "deadline_exceeded")


@pytest.mark.parametrize("parameters", [{}, {"timeout": 0}, {"timeout": 3_600_000_000}, {"timeout": 2**63 - 1}])
def test_a_longer_timeout_waits(patient: ServingProcess, parameters: dict[str, int]) -> None:
    """Zero means that the request has none; the policy's own holds all the same."""
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(infer, patient, binary_image(images(7), parameters=parameters))
        patient.wait_until(lambda: patient.metric("topfive_queue_items") == 1)
        assert infer(patient, binary_image(images(*range(7)))).status == 200, "they fill the batch"
        assert waiting.result().status == 200


@pytest.mark.parametrize("priority", [0, 1, 7, 2**32, 2**63, 2**64 - 1])
def test_any_priority_is_taken(tiny: ServingProcess, priority: int) -> None:
    assert_labelled(outputs_of(infer(tiny, binary_image(images(7), parameters={"priority": priority}))), 7)


def test_a_policy_that_lets_no_request_set_its_own_timeout_says_so(tmp_path: Path) -> None:
    policy = POLICY.replace("allow_timeout_override: true", "")
    repository = write_tiny_repository(tmp_path, classify_config=config([PIXELS], OUTPUTS, policy))
    with serving("--backend", "null", "--model-repository", str(repository)) as service:
        answer = infer(service, binary_image(images(7), parameters={"timeout": 1000}))
        assert "allow_timeout_override" in answer.assert_error(400, "malformed_request")


def test_a_stuck_body_does_not_stop_others(tiny: ServingProcess) -> None:
    """However many there are, and however much they have announced."""
    held = [HeldRequest(tiny, INFER, bytes(100_000), RAW) for _ in range(40)]
    for request in held:
        request.send(10)
    assert_labelled(outputs_of(infer(tiny, binary_image(images(7)))), 7)
    tiny.wait_until(lambda: tiny.metric("topfive_in_flight_bytes") == 400)
    for request in held:
        request.socket.close()
    tiny.wait_until(lambda: tiny.metric("topfive_in_flight_bytes") == 0)


def test_the_log_line_names_the_route_and_nothing_that_was_sent(tiny: ServingProcess) -> None:
    body = binary_image(images(7), id="swordfish")
    infer(tiny, body, headers={"X-Request-Id": "logged-1"})
    line = json.loads(tiny.wait_for_log('"logged-1"'))
    expected = {"route": "/v2/models/{model}/infer", "model": "tiny", "status": 200, "images": 1}
    assert line | expected | {"body_bytes": len(body.content)} == line
    assert "swordfish" not in json.dumps(line)
