"""What the server says of itself and of its models over HTTP, and what its statistics count.

Not here: load, unload and index (`tests/models/test_control.py`), and the shape of each description
(`tests/protocol/test_descriptions.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import tritonclient.grpc

from tests.testkit.oip_bodies import Body, binary_body, binary_image, image_input
from tests.testkit.serving_process import Answer, ServingProcess, ask, serving
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    HIGHEST_VALUE,
    OUTPUTS,
    PIXELS,
    WAITING_CONFIG,
    classifier_graph,
    config,
    endless_start,
    write_model,
    write_tiny_repository,
)
from topfive import __version__

BOTH_VERSIONS: Final = BATCHING + "version_policy { all { } }\n"
COMPUTE: Final = ("compute_input", "compute_infer", "compute_output")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """`tiny` and its steps; `two`, in versions 2 and 10."""
    repository = write_tiny_repository(tmp_path_factory.mktemp("models"))
    write_model(repository, "two", config([PIXELS], OUTPUTS, BOTH_VERSIONS), classifier_graph(), versions=[2, 10])
    with serving("--model-repository", str(repository)) as process:
        yield process


def get(service: ServingProcess, path: str) -> Any:
    answer = service.ask("GET", path)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json"
    return answer.json


def infer(service: ServingProcess, body: Body, model: str = "tiny") -> Answer:
    return service.ask("POST", f"/v2/models/{model}/infer", body.content, body.headers)


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_says_what_it_is(tiny: ServingProcess, path: str) -> None:
    assert get(tiny, path) == {
        "name": "topfive",
        "version": __version__,
        "extensions": ["binary_tensor_data", "model_configuration", "schedule_policy", "statistics"],
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("tiny", "tiny"),
        ("tiny/versions/1", "tiny"),
        ("%74iny", "tiny"),
        ("tiny?version=9&x=%FF", "tiny"),
        ("two/versions/2", "two"),
        ("classify", "classify"),
    ],
)
def test_a_model_says_what_it_takes_and_gives(tiny: ServingProcess, path: str, name: str) -> None:
    metadata = get(tiny, f"/v2/models/{path}")
    image = ("image", [-1, -1, -1, 3]) if name == "tiny" else ("pixels", [-1, 2, 2, 3])
    assert metadata == {
        "name": name,
        "versions": ["2", "10"] if name == "two" else ["1"],
        "platform": "ensemble" if name == "tiny" else "onnxruntime_onnx",
        "inputs": [{"name": image[0], "datatype": "UINT8", "shape": image[1]}],
        "outputs": [
            {"name": "classes", "datatype": "BYTES", "shape": [-1, 5]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 5]},
            {"name": "indices", "datatype": "INT64", "shape": [-1, 5]},
        ],
    }


@pytest.mark.parametrize("path", ["tiny", "tiny/versions/1", "two/versions/10", "classify"])
def test_a_model_that_is_served_is_ready(tiny: ServingProcess, path: str) -> None:
    assert get(tiny, f"/v2/models/{path}/ready") == {"name": path.partition("/")[0], "ready": True}


def test_a_configuration_is_that_of_the_file(tiny: ServingProcess) -> None:
    """With the types that perf_analyzer reads: `tests/protocol/test_descriptions.py` has every field."""
    described = get(tiny, "/v2/models/two/config")
    assert described == get(tiny, "/v2/models/two/versions/2/config")
    assert (described["name"], described["max_batch_size"]) == ("two", 8)
    assert [(tensor["name"], tensor["data_type"], tensor["dims"]) for tensor in described["input"]] == [
        ("pixels", "TYPE_UINT8", [2, 2, 3])
    ]
    assert [tensor["data_type"] for tensor in described["output"]] == ["TYPE_STRING", "TYPE_FP32", "TYPE_INT64"]
    assert "dynamic_batching" in described
    assert "all" in described["version_policy"]


ABOUT: Final = ("", "/ready", "/config", "/stats")
UNKNOWN: Final = (
    *("nope", "crop", "Tiny", "tiny/versions/2", "tiny/versions/0", "tiny/versions/01x", "tiny/versions/-1"),
    *("tiny/versions/1.0", "tiny/versions/1_0", "tiny/versions/%D9%A1", "two/versions/1", f"tiny/versions/{'9' * 50}"),
)


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("path", UNKNOWN)
def test_404_for_a_model_or_version_that_is_not_served(tiny: ServingProcess, path: str, about: str) -> None:
    """Also of its readiness, which a client reads as "no"."""
    tiny.ask("GET", f"/v2/models/{path}{about}").assert_error(404, "unknown_model")


@pytest.mark.parametrize(
    "path",
    ["/v2/models", "/v2/models/", "/v2/models/tiny/", "/v2/models/tiny/foo", "/v2/health", "/V2", "//v2", "/v2/x"],
)
def test_404_for_another_path(tiny: ServingProcess, path: str) -> None:
    tiny.ask("GET", path).assert_error(404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/models/stats",
        *(f"/v2/models/{name}{about}" for name in ("tiny", "tiny/versions/1") for about in ABOUT),
    ],
)
def test_head_is_get_without_a_body_and_other_methods_are_refused(tiny: ServingProcess, path: str) -> None:
    """On one connection, so that an answer out of step would be noticed."""
    with tiny.connect() as connection:
        got = ask(connection, "GET", path)
        head = ask(connection, "HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = ask(connection, method, path)
            answer.assert_error(405, "method_not_allowed")
            assert answer.headers["allow"] == "GET"
        assert ask(connection, "HEAD", "/v2/models/nope").status == 404
        assert ask(connection, "GET", path).status == 200


def test_503_while_the_models_warm_up(tmp_path: Path) -> None:
    """The server says what it is already, and of no model that it is ready."""
    with ServingProcess("--model-repository", str(endless_start(tmp_path / "models"))) as starting:
        starting.wait_for_log("Application startup complete")
        assert get(starting, "/v2")["name"] == "topfive"
        for about in ABOUT:
            answer = starting.ask("GET", f"/v2/models/efficientnet_lite0{about}")
            answer.assert_error(503, "not_ready")
            assert int(answer.headers["retry-after"]) >= 1
        body = binary_image(np.zeros((1, 2, 2, 3), np.uint8))
        infer(starting, body, "efficientnet_lite0").assert_error(503, "not_ready")


# Statistics.


def statistics(service: ServingProcess, path: str = "/v2/models/stats") -> dict[tuple[str, str], dict[str, Any]]:
    """Those of each model and version."""
    return {(each["name"], each["version"]): each for each in get(service, path)["model_stats"]}


def images(*values: int) -> Body:
    return binary_image(np.stack([np.full((2, 2, 3), value, np.uint8) for value in values]))


def growth(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """By how much each count has grown, and that no time has shrunk."""
    leaves = before["inference_stats"].keys() | after["inference_stats"].keys()
    pairs = {name: (before["inference_stats"][name], after["inference_stats"][name]) for name in leaves}
    assert all(earlier["ns"] <= later["ns"] for earlier, later in pairs.values())
    grown = {name: later["count"] - earlier["count"] for name, (earlier, later) in pairs.items()}
    return grown | {name: after[name] - before[name] for name in ("inference_count", "execution_count")}


def test_statistics_are_given_for_all_for_a_model_and_for_a_version(tiny: ServingProcess) -> None:
    everything = {("tiny", "1"), ("classify", "1"), ("two", "2"), ("two", "10")}
    assert set(statistics(tiny)) == everything
    assert set(statistics(tiny, "/v2/models/two/stats")) == {("two", "2"), ("two", "10")}
    assert set(statistics(tiny, "/v2/models/two/versions/10/stats")) == {("two", "10")}


def test_statistics_grow_with_each_request(tiny: ServingProcess) -> None:
    """Of the ensemble and of the classifier that it ends in: requests by one, images by their number."""
    before = statistics(tiny)
    for values in ((1,), (2, 3, 4)):
        assert infer(tiny, images(*values)).status == 200
    after = statistics(tiny)
    for key in (("tiny", "1"), ("classify", "1")):
        grown = growth(before[key], after[key])
        batches = grown.pop("execution_count")
        assert 2 <= batches <= 4
        expected = {"inference_count": 4, "success": 2, "queue": 2, "fail": 0, "cache_hit": 0, "cache_miss": 0}
        assert grown == expected | dict.fromkeys(COMPUTE, 2)
        assert after[key]["last_inference"] >= before[key]["last_inference"]
    assert growth(before["two", "10"], after["two", "10"])["success"] == 0


def test_the_classifiers_own_requests_are_not_the_ensembles(tiny: ServingProcess) -> None:
    """The version that was asked has grown, and no other: by that perf_analyzer finds the one that served it."""
    before = statistics(tiny)
    tensor = image_input((1, 2, 2, 3), name="pixels", parameters={"binary_data_size": 12})
    body = binary_body({"inputs": [tensor]}, bytes(12))
    assert infer(tiny, body, "classify").status == infer(tiny, body, "two").status == 200
    assert infer(tiny, body, "two/versions/2").status == 200
    assert infer(tiny, body, "two/versions/2").status == 200
    after = statistics(tiny)
    queued = {key: growth(before[key], after[key])["queue"] for key in before}
    assert queued == {("tiny", "1"): 0, ("classify", "1"): 1, ("two", "10"): 1, ("two", "2"): 2}


def test_requests_of_the_other_route_are_counted_too(tiny: ServingProcess) -> None:
    before = statistics(tiny)
    assert tiny.classify(bytes(12), model="tiny", height=2, width=2).status == 200
    assert growth(before["tiny", "1"], statistics(tiny)["tiny", "1"])["success"] == 1


def test_failures_are_counted_apart(tiny: ServingProcess) -> None:
    """What was refused and what failed; neither has been queued or computed, as far as statistics go."""
    before = statistics(tiny)
    assert infer(tiny, Body(b"{}", None)).status == 400
    assert infer(tiny, images(HIGHEST_VALUE + 9)).status == 500
    grown = growth(before["tiny", "1"], statistics(tiny)["tiny", "1"])
    assert (grown["fail"], grown["success"], grown["queue"], grown["inference_count"]) == (2, 0, 0, 0)


def test_batches_are_counted_by_their_executed_size(tmp_path: Path) -> None:
    """On a model whose batches leave full: eight images of three requests make one batch of eight."""
    repository = write_tiny_repository(tmp_path, classify_config=WAITING_CONFIG)
    with serving("--backend", "null", "--model-repository", str(repository)) as service:
        assert infer(service, images(*range(8))).status == 200
        assert infer(service, images(*range(8))).status == 200
        for key in (("tiny", "1"), ("classify", "1")):
            found = statistics(service)[key]
            assert (found["inference_count"], found["execution_count"]) == (16, 2)
            (batch,) = found["batch_stats"]
            assert batch["batch_size"] == 8
            assert [batch[leaf]["count"] for leaf in COMPUTE] == [2, 2, 2]


def test_a_page_of_another_site_cannot_change_the_models(tiny: ServingProcess) -> None:
    """It is told so before anything else; others go on to what the setting says. What changes nothing, all may ask."""
    foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    own = {"Origin": f"http://127.0.0.1:{tiny.port}"}
    for act in ("load", "unload"):
        path = f"/v2/repository/models/tiny/{act}"
        refused = tiny.ask("POST", path, headers=foreign)
        assert "cors_origins" in refused.assert_error(403, "foreign_page")
        for headers in ({}, own, {**foreign, "Sec-Fetch-Site": "same-origin"}):
            assert tiny.ask("POST", path, headers=headers).status == 400
    assert tiny.ask("POST", "/v2/repository/index", headers=foreign).status == 200


def test_statistics_are_not_offered_by_several_processes(several: ServingProcess) -> None:
    """Each would tell its own part as if it were the whole."""
    assert "statistics" not in get(several, "/v2")["extensions"]
    several.ask("GET", "/v2/models/stats").assert_error(400, "unsupported")


def test_an_ensemble_is_found_and_answers_in_the_version_of_its_classifier(tmp_path: Path) -> None:
    """Everywhere the same number, which is the network's; that of the ensemble's own folder is nowhere."""
    write_tiny_repository(tmp_path)
    write_model(tmp_path, "classify", CLASSIFIER_CONFIG, classifier_graph(prefix="two"), versions=[2])
    pixels = np.full((1, 2, 2, 3), 7, np.uint8)
    with serving("--model-repository", str(tmp_path)) as service:
        for query in ({}, {"version": 2}):
            answer = service.classify(pixels.tobytes(), height=2, width=2, **query)
            assert (answer.json["version"], answer.labels[0]) == ("2", "two 7")
        refused = service.classify(pixels.tobytes(), height=2, width=2, version=1)
        assert "served are: 2" in refused.assert_error(404, "unknown_model")
        for path in ("tiny", "tiny/versions/2"):
            assert infer(service, binary_image(pixels), path).json["model_version"] == "2"
        infer(service, binary_image(pixels), "tiny/versions/1").assert_error(404, "unknown_model")
        assert get(service, "/v2/models/tiny")["versions"] == ["2"]
        (counted,) = get(service, "/v2/models/tiny/stats")["model_stats"]
        assert (counted["version"], counted["inference_count"]) == ("2", 4)
        index = service.ask("POST", "/v2/repository/index").json
        assert {entry["name"]: entry["version"] for entry in index} == {"classify": "2", "crop": "1", "tiny": "2"}
        assert service.metric("topfive_model_info", model="classify", version="2") == 1
        service.wait_for_log("model 'tiny' version 2 is served")
        with tritonclient.grpc.InferenceServerClient(service.grpc_address) as client:
            tensor = tritonclient.grpc.InferInput("image", pixels.shape, "UINT8")
            tensor.set_data_from_numpy(pixels)
            assert client.infer("tiny", [tensor], model_version="2").get_response().model_version == "2"
            assert not client.is_model_ready("tiny", "1")
