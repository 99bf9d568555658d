"""`/v1/rollout` and versions on trial over every door, of a service with a shadow and a canary, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.testkit.grpc_messages import image_message
from tests.testkit.oip_bodies import json_image
from tests.testkit.rpc import answer_of, channel_to
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.trial_bench import FAILS, write_versions

SIZE = {"height": 2, "width": 2}
COMPARED = "topfive_shadow_compared_total"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_versions(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def trying(versions: Path) -> Iterator[ServingProcess]:
    """Version 1 is live, version 2 the shadow, version 3 the canary of half of the users."""
    flags = (
        "--shadow",
        "tiny:2@100%",
        "--shadow-busy-share",
        "1",
        "--canary",
        "tiny:3@50%",
        "--canary-header",
        "X-User",
    )
    with serving("--model-repository", str(versions), *flags) as process:
        yield process


def pixels(value: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((1, 2, 2, 3), value, np.uint8)


def by_user(service: ServingProcess, user: str, value: int = 7) -> str:
    """The first label over `/v1/classify`; the version is the one that answered."""
    path = "/v1/classify?model=tiny&height=2&width=2"
    answer = service.ask("POST", path, pixels(value).tobytes(), {"X-User": user})
    assert answer.status == 200, answer
    said = {"value": "1", "two": "2", "three": "3"}[answer.labels[0].split()[0]]
    assert answer.json["version"] == said
    return answer.labels[0]


def users(service: ServingProcess) -> tuple[str, str]:
    """A user that the canary has, and one that it has not."""
    found = {by_user(service, f"user{number}"): f"user{number}" for number in range(12)}
    return found["three 7"], found["value 7"]


def test_a_user_gets_the_same_version_over_every_door(trying: ServingProcess) -> None:
    for user, label in zip(users(trying), ("three 7", "value 7"), strict=True):
        version = {"three 7": "3", "value 7": "1"}[label]
        body = json_image(pixels(7)).content
        for _ in range(2):
            over_rest = trying.ask("POST", "/v2/models/tiny/infer", body, {"X-User": user}).json
            assert (over_rest["model_version"], over_rest["outputs"][0]["data"][0]) == (version, label)
            with channel_to(trying) as channel:
                message = image_message(pixels(7))
                reply = answer_of(channel.infer(message, metadata=(("x-user", user),)))
            assert reply.model_version == version
        named = trying.ask("POST", "/v2/models/tiny/versions/2/infer", body, {"X-User": user}).json
        assert named["model_version"] == "2"


def test_disagreements_are_told_with_the_request_that_they_are_of(trying: ServingProcess) -> None:
    _, other = users(trying)
    path = "/v1/classify?model=tiny&height=2&width=2"
    trying.ask("POST", path, pixels(9).tobytes(), {"X-User": other, "X-Request-Id": "look-at-me"})
    trying.wait_until(lambda: "look-at-me" in trying.ask("GET", "/v1/rollout").body.decode())
    shadow = trying.ask("GET", "/v1/rollout").json["shadow"]
    assert (shadow["target"], shadow["share"], shadow["state"]) == ("tiny:2", 1.0, "answers")
    found = next(each for each in shadow["disagreements"] if each["request_id"] == "look-at-me")
    assert found["live"][0] == {"label": "value 9", "probability": 0.5}
    assert found["shadow"][0]["label"] == "two 9"


def test_a_canary_that_fails_is_rolled_back_nobody_notices_and_an_operator_resumes_it(trying: ServingProcess) -> None:
    ours, other = users(trying)
    for user in (ours, other) * 20:
        assert by_user(trying, user, FAILS) == f"value {FAILS}"
    trying.wait_until(lambda: trying.metric("topfive_canary_rolled_back") == 1)
    assert by_user(trying, ours) == "value 7"
    trying.wait_for_log("the canary 'tiny' version 3 is rolled back: it fails more often: ")
    canary = trying.ask("GET", "/v1/rollout").json["canary"]
    assert canary["state"] == "off"
    assert trying.metric("topfive_canary_retried_total") == canary["arms"]["canary"]["faults"] >= 5
    assert trying.ask("POST", "/v1/rollout/canary/resume").json["canary"]["state"] == "on"
    assert by_user(trying, ours) == "three 7"
    assert trying.ask("POST", "/v1/rollout/canary/stop").json["canary"]["reason"] == "an operator has turned it off"
    assert by_user(trying, ours) == "value 7"
    trying.ask("POST", "/v1/rollout/canary/resume")


def test_a_page_of_another_site_may_not_turn_it(trying: ServingProcess) -> None:
    answer = trying.ask("POST", "/v1/rollout/canary/stop", headers={"Origin": "https://elsewhere.example"})
    answer.assert_error(403, "foreign_page")
    assert trying.ask("GET", "/v1/rollout").json["canary"]["state"] == "on"


def test_several_processes_roll_back_together_and_add_up(versions: Path, trying: ServingProcess) -> None:
    """Their shadow is another service: the one of the other tests."""
    url = f"http://127.0.0.1:{trying.port}?model=tiny&version=2"
    flags = ("--canary", "tiny:3@50%", "--canary-header", "x-user", "--shadow", f"tiny={url}@100%", "--workers", "2")
    with serving("--model-repository", str(versions), "--no-grpc", *flags) as service:
        service.wait_for_log("the service is ready", count=2)
        labels = [by_user(service, f"user{number}", FAILS) for number in range(60)]
        assert set(labels) == {f"two {FAILS}"}
        service.wait_until(lambda: service.metric("topfive_canary_rolled_back") == 1)
        service.wait_until(lambda: service.metric("topfive_canary_share") == 0)
        service.wait_until(lambda: service.metric(COMPARED, agrees="yes") == 60)
        assert service.metric("topfive_shadow_dropped_total") == 0


def test_without_a_trial_there_is_nothing_to_see_or_turn(service: ServingProcess) -> None:
    assert service.ask("GET", "/v1/rollout").json == {"shadow": None, "canary": None}
    assert "TOPFIVE_CANARY" in service.ask("POST", "/v1/rollout/canary/stop").assert_error(404, "unknown_model")
