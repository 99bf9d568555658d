"""`/docs` and `/openapi.json`: complete, true to what is served, and without another host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Encode, Photo
from tests.testkit.serving_process import RAW, ServingProcess
from topfive.http.error_responses import STATUS
from topfive.http.health import LIVE, READY
from topfive.images.decoding import ENCODED_MEDIA_TYPES

ASSETS = {
    "/static/swagger/swagger-ui-bundle.js": "text/javascript",
    "/static/swagger/swagger-ui.css": "text/css",
    "/static/swagger/favicon-32x32.png": "image/png",
}


@pytest.fixture(scope="module")
def openapi(service: ServingProcess) -> dict[str, Any]:
    answer = service.ask("GET", "/openapi.json")
    assert answer.status == 200
    document: dict[str, Any] = answer.json
    return document


@pytest.fixture(scope="module")
def operation(openapi: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = openapi["paths"]["/v1/classify"]["post"]
    return found


def test_the_page_loads_nothing_from_another_host(service: ServingProcess) -> None:
    answer = service.ask("GET", "/docs")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    page = answer.body.decode()
    assert "//" not in re.sub(r"(?m)^\s*//.*$", "", page)
    links = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert sorted(links) == sorted(path.removeprefix("/") for path in ASSETS)  # so that any prefix may be before them
    assert "url: 'openapi.json'" in page


@pytest.mark.parametrize(("path", "media_type"), ASSETS.items())
def test_its_assets_are_served_from_here(service: ServingProcess, path: str, media_type: str) -> None:
    answer = service.ask("GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"].split(";")[0] == media_type
    assert len(answer.body) == int(answer.headers["content-length"]) > 500


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/swagger", "/static/no.js"])
def test_nothing_but_the_assets_is_served(service: ServingProcess, path: str) -> None:
    service.ask("GET", path).assert_error(404, "not_found")


def test_every_reference_of_the_document_leads_somewhere(openapi: dict[str, Any]) -> None:
    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    yield value
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(openapi))
    assert found
    for reference in found:
        node: Any = openapi
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    assert openapi["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(openapi["info"])


def test_every_path_is_documented(openapi: dict[str, Any]) -> None:
    paths = {path: set(methods) for path, methods in openapi["paths"].items()}
    assert paths == {
        "/v1/classify": {"post"},
        "/v2": {"get"},
        **{path: {"get"} for path in (*LIVE, *READY)},
        "/v2/models/stats": {"get"},
        **{
            f"/v2/models/{{model}}{version}{about}": {"post" if about == "/infer" else "get"}
            for version in ("", "/versions/{version}")
            for about in ("", "/ready", "/config", "/stats", "/infer")
        },
        "/v2/repository/index": {"post"},
        "/v2/repository/models/{model}/load": {"post"},
        "/v2/repository/models/{model}/unload": {"post"},
        "/v1/rollout": {"get"},
        "/v1/rollout/canary/stop": {"post"},
        "/v1/rollout/canary/resume": {"post"},
        "/metrics": {"get"},
    }
    operations = [operation for methods in openapi["paths"].values() for operation in methods.values()]
    assert all(operation.get("description") for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_what_needs_a_key_where_keys_are_asked_for_says_so(openapi: dict[str, Any]) -> None:
    assert openapi["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in openapi["paths"].items():
        for operation in methods.values():
            needs_one = path not in {*LIVE, *READY}
            assert ("401" in operation["responses"]) == ("security" in operation) == needs_one


def test_every_kind_of_body_is_documented(operation: dict[str, Any]) -> None:
    body = operation["requestBody"]
    assert body["required"] is True
    assert set(body["content"]) == {*ENCODED_MEDIA_TYPES, RAW, "multipart/form-data", "application/json"}
    form = body["content"].pop("multipart/form-data")["schema"]
    assert form["required"] == ["image"]
    shapes = body["content"].pop("application/json")["schema"]["oneOf"]
    assert [shape["required"] for shape in shapes] == [["image"], ["images"], ["instances"]]
    assert all(kind["schema"]["format"] == "binary" for kind in body["content"].values())


def test_every_documented_body_is_served(
    service: ServingProcess, operation: dict[str, Any], cat: Photo, encode: Encode
) -> None:
    for media_type in set(operation["requestBody"]["content"]) & set(ENCODED_MEDIA_TYPES):
        kind = media_type.removeprefix("image/").upper()
        assert service.classify(encode(cat, kind), media_type).status == 200


def test_the_documented_parameters_are_those_that_are_taken(service: ServingProcess, operation: dict[str, Any]) -> None:
    """The refusal of an unknown parameter lists the known ones."""
    message = service.classify(b"rgb", colour="red").json["error"]
    taken = message.partition("there are: ")[2].split(", ")
    assert {parameter["name"] for parameter in operation["parameters"]} == set(taken)
    assert all(parameter["in"] == "query" and not parameter["required"] for parameter in operation["parameters"])


def test_every_row_of_the_error_table_is_documented(operation: dict[str, Any]) -> None:
    documented = operation["responses"]
    assert set(documented) == {"200", *(str(status) for status in STATUS.values() if status != 499)}
    for status, response in documented.items():
        assert response["description"]
        schema = response["content"]["application/json"]["schema"]
        if status != "200":
            assert schema == {"$ref": "#/components/schemas/ErrorSchema"}


def test_an_answer_has_the_documented_shape(service: ServingProcess, openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    single = service.classify(b"rgb", height=1, width=1).json
    listed = service.classify(b"rgb", height=1, width=1, count=1).json
    error = service.classify(b"rgb").json
    assert set(single) == set(schemas["AnswerSchema"]["properties"])
    assert set(single["predictions"][0]) == set(schemas["PredictionSchema"]["properties"])
    assert set(listed) == set(schemas["ListedAnswerSchema"]["properties"])
    assert set(listed["images"][0]) == set(schemas["ImageSchema"]["properties"])
    assert set(error) == set(schemas["ErrorSchema"]["properties"])
