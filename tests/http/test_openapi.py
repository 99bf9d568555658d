"""What `/openapi.json` says is so: what schemathesis makes of it is answered as it says, and never with 500."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.testkit.oip_bodies import image_input
from tests.testkit.serving_process import RAW, ServingProcess, serving

pytestmark = pytest.mark.untraced

EXAMPLES: Final = 16
GUESSES: Final = 6
"""Examples where names are guessed: hardly any is right, so one refusal is like the other."""
MODEL: Final = "efficientnet_lite0"

Document = dict[str, Any]


def as_it_stands(document: Document) -> Document:
    """For a client that knows nothing of what is served."""
    return document


def with_names(document: Document) -> Document:
    """For one that knows which models and tensors there are, right ones among wrong ones: nobody would guess them."""
    known = {"model": [MODEL, "efficientnet_lite0_classify", "nope"], "version": ["1", "01", "2", "x"]}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            parameters = operation.get("parameters", [])
            for parameter in parameters:
                if parameter["in"] == "path":
                    parameter["schema"] = {"enum": known[parameter["name"]]}
            if path.endswith("/infer"):  # as JSON, for it cannot know how long that is
                operation["parameters"] = [parameter for parameter in parameters if parameter["in"] == "path"]
                del operation["requestBody"]["content"][RAW]
    schemas = document["components"]["schemas"]
    good = [image_input((1, 1, 1, 3), data=[1, 2, 3]), image_input((2, 1, 1, 3), data=[[1, 2, 3], [4, 5, 6]])]
    bad = [image_input((1, 1, 1, 3), data=[256, 0, 0]), image_input((1, 2**40, 2**40, 3), data=[])]
    schemas["InputSchema"] = {"enum": [*good, *bad]}
    schemas["InferRequestSchema"]["properties"]["inputs"] |= {"minItems": 1, "maxItems": 1}
    schemas["InferRequestSchema"]["properties"]["parameters"] = {"enum": [{}, {"binary_data_output": True}]}
    schemas["RequestedOutputSchema"]["properties"]["name"] = {"enum": ["classes", "probabilities", "indices"]}
    return document


def not_a_defect(context: Any, response: Any, case: Any) -> None:
    """The statuses above 500 tell a client what it asked for, as 504 does of `timeout_ms=1`."""
    assert response.status_code not in (500, 501, 502), response.text


CHECKS: Final = [not_a_defect, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize("told", [as_it_stands, with_names])
def test_every_operation_answers_as_described(service: ServingProcess, told: Callable[[Document], Document]) -> None:
    """To what the document allows and to what it does not: with a described status, type and shape."""
    document = told(service.ask("GET", "/openapi.json").json)
    statuses = _exercise_all(document, service, examples=GUESSES if told is as_it_stands else EXAMPLES)
    assert len(statuses) == sum(map(len, document["paths"].values()))
    if told is with_names:
        assert all(200 in seen for label, seen in statuses.items() if label.startswith("GET"))
        assert 404 in statuses["GET /v2/models/{model}/config"]
        one, other = (statuses[f"POST /v2/models/{{model}}{version}/infer"] for version in ("", "/versions/{version}"))
        assert {200, 400, 404} <= one | other


def test_models_are_controlled_as_described(tiny_repository: Path) -> None:
    """Where clients may load and unload: `tiny` and its steps come and go meanwhile."""
    flags = ("--backend", "null", "--model-control", "explicit", "--model-repository", str(tiny_repository))
    with serving(*flags) as service:
        document = service.ask("GET", "/openapi.json").json
        document["paths"] = {
            path: each for path, each in document["paths"].items() if path.startswith("/v2/repository")
        }
        for methods in document["paths"].values():
            for parameter in methods["post"].get("parameters", []):
                parameter["schema"] = {"enum": ["tiny", "nope"]}
        statuses = _exercise_all(document, service, examples=EXAMPLES)
    assert len(statuses) == 3
    assert all({200, 400} <= seen for seen in statuses.values())
    assert 404 in statuses["POST /v2/repository/models/{model}/load"]


def _exercise_all(document: Document, service: ServingProcess, *, examples: int) -> dict[str, set[int]]:
    """The statuses with which each operation of `document` answered."""
    statuses: defaultdict[str, set[int]] = defaultdict(set)
    with requests.Session() as session:
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            takes = document["paths"][operation.path][operation.method].keys() & {"parameters", "requestBody"}
            for mode in GenerationMode if operation.method == "post" and takes else [GenerationMode.POSITIVE]:
                seen = _exercise(operation.as_strategy(generation_mode=mode), service, session, examples)
                statuses[operation.label] |= seen
    return statuses


def _exercise(cases: Any, service: ServingProcess, session: requests.Session, examples: int) -> set[int]:
    """Ask what `cases` draws, the same in every run; the statuses that were answered."""
    seen: set[int] = set()

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=cases)
    def ask(case: Any) -> None:
        address = f"http://127.0.0.1:{service.port}"
        seen.add(case.call_and_validate(base_url=address, session=session, checks=CHECKS).status_code)

    ask()
    return seen
