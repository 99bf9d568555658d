"""A target is asked who it is before anything is measured, and what is wrong with it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.server import free_port
from loadtests import target
from loadtests.run_plan import MODEL, REPOSITORY
from loadtests.target import NoTarget
from tests.testkit.serving_process import ServingProcess
from tests.testkit.stored_models import served_precision


def address(service: ServingProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


def test_topfive_is_known_and_asked_in_all_ways(service: ServingProcess) -> None:
    found = target.find(address(service), model=MODEL)
    assert (found.name, found.scenarios) == ("topfive", ("raw", "jpeg", "oip"))
    assert found.metrics_url == f"{address(service)}/metrics"


def test_what_differs_from_run_to_run_is_told(service: ServingProcess) -> None:
    settings = target.settings(target.find(address(service), model=MODEL))
    assert settings["efficientnet_lite0_classify: max_batch_size"] == "16"


def test_the_proxy_of_the_environment_is_not_asked(service: ServingProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generators do not go through it either."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert target.find(address(service), model=MODEL).name == "topfive"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://127.0.0.1:8000/v2"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NoTarget, match="http://host:port"):
        target.find(url, model=MODEL)


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(NoTarget, match=r"nothing answers at .*start it"):
        target.find(f"http://127.0.0.1:{free_port()}", model=MODEL)


def test_a_server_is_not_asked_in_ways_that_it_does_not_have(service: ServingProcess) -> None:
    ours = target.find(address(service), model=MODEL)
    ours.check(["raw", "jpeg", "oip"])
    with pytest.raises(NoTarget, match="--grpc"):
        ours.check(["grpc"])
    replace(ours, grpc="127.0.0.1:8001").check(["grpc"])
    another = replace(ours, name="triton")
    another.check(another.scenarios)
    with pytest.raises(NoTarget, match="no /v1/classify for 'jpeg'"):
        another.check(["jpeg"])


def test_a_model_that_is_not_served_is_named(service: ServingProcess) -> None:
    with pytest.raises(NoTarget, match="does not serve 'flowers'"):
        target.find(address(service), model="flowers")


def test_models_in_int8_are_those_that_the_metrics_tell_of(service: ServingProcess) -> None:
    classifier = f"{MODEL}_classify"
    in_int8 = served_precision(REPOSITORY, classifier) == "INT8"
    assert target.in_int8(f"{address(service)}/metrics") == ([classifier] if in_int8 else [])
    assert target.in_int8(f"{address(service)}/v2") == []
    assert target.in_int8(f"http://127.0.0.1:{free_port()}/metrics") == []
