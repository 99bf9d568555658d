"""The null backend: answers that any client reads, at once or as badly as it is told to."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http
from tritonclient.utils import InferenceServerException

from loadtests.null_server import LABELS, PROBABILITIES, NullServer
from loadtests.queries import NULL_LABEL, Query, judge
from topfive_loadgen.asking import ask
from topfive_loadgen.http1 import render


@pytest.fixture(scope="module")
def null() -> Iterator[NullServer]:
    with NullServer() as server:
        yield server


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_the_stock_client_reads_its_inference_answers(null: NullServer, binary_in: bool, binary_out: bool) -> None:
    image = np.zeros((1, 4, 4, 3), np.uint8)
    tensor = tritonclient.http.InferInput("image", image.shape, "UINT8")
    tensor.set_data_from_numpy(image, binary_data=binary_in)
    outputs = [
        tritonclient.http.InferRequestedOutput(name, binary_data=binary_out) for name in ("classes", "probabilities")
    ]
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{null.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("any")
        for wanted in (outputs, None):
            found = client.infer("any", [tensor], outputs=wanted, request_id="7")
            assert found.get_response()["id"] == "7"
            classes, probabilities = found.as_numpy("classes"), found.as_numpy("probabilities")
            assert classes is not None
            assert probabilities is not None
            labels = [label.decode() if isinstance(label, bytes) else label for label in classes[0]]
            assert labels == [*LABELS]
            assert probabilities.tolist() == [[*PROBABILITIES]]
        with pytest.raises(InferenceServerException, match="nothing"):
            client.infer("any", [tensor], outputs=[tritonclient.http.InferRequestedOutput("nothing")])
    finally:
        client.close()


def test_its_answer_to_a_photo_is_the_right_one_for_a_null_query(null: NullServer) -> None:
    query = Query(
        mix="random", scenario="raw", kind="photo", path="/v1/classify?height=9", headers={}, body=bytes(3_000_000),
        expected=NULL_LABEL,
    )  # fmt: skip
    response = ask(("127.0.0.1", null.port), render("POST", query.path, query.body))
    assert judge(query, status=response.status, headers=response.headers, body=response.body) == ""
    assert len(json.loads(response.body)["predictions"]) == 5


def test_one_connection_is_used_again_whatever_was_asked(null: NullServer) -> None:
    """Bodies that came in pieces, requests without one, errors: each leaves the connection in order."""
    connection = http.client.HTTPConnection("127.0.0.1", null.port)
    try:
        asked = [
            ("POST", "/v1/classify"),
            ("GET", "/nowhere"),
            ("GET", "/v2/health/live"),
            ("POST", "/v2/models/m/infer"),
        ]
        statuses = []
        for method, path in asked * 2:
            connection.request(method, path, bytes(200_000) if method == "POST" else None)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        assert statuses == [200, 404, 200, 400] * 2
    finally:
        connection.close()
