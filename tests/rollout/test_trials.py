"""Versions on trial, in a running service on tiny models: who answers, what is compared, and that nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.testkit.image_files import encode
from tests.testkit.tiny_models import (
    CROP_CONFIG,
    classifier_graph,
    crop_graph,
    ensemble_config,
    write_model,
    write_version,
)
from tests.testkit.trial_bench import FAILS, Asker, Images, TrialBench, raw, trying, write_versions
from topfive.ground.errors import BackendFailure, MalformedRequest, UnknownModel
from topfive.request.sources import EncodedImage
from topfive.rollout.local import LocalTarget

ALL = {"shadow": "tiny:2@100%", "shadow_busy_share": 1}
COMPARED = "topfive_shadow_compared_total"
DROPPED = "topfive_shadow_dropped_total"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_versions(tmp_path_factory.mktemp("models"))


def of(bench: TrialBench, wanted: bool) -> Asker:
    """A request that is the canary's, or is not."""
    canary = bench.serving.trials.canary
    assert canary is not None
    ids = (f"r{number}" for number in range(1000))
    return Asker(next(each for each in ids if canary.takes(each.encode()) == wanted))


async def test_without_a_trial_the_highest_version_answers(versions: Path) -> None:
    async with trying(versions) as bench:
        assert await bench.label(7) == "three 7"
        assert bench.metric(COMPARED) == 0


async def test_a_version_on_trial_answers_nobody_and_is_compared(versions: Path) -> None:
    """Version 3 is the highest that is not on trial; the shadow takes the crop as it is."""
    async with trying(versions, **ALL) as bench:
        assert await bench.label(7, Asker("first")) == "three 7"
        assert await bench.label(7, version=1) == "value 7"
        assert await bench.label(7, version=2) == "two 7"
        await bench.until(COMPARED, 2, agrees="no")
        assert bench.metric(COMPARED) == 2, "its own answers are not copied"
        shadow = bench.serving.trials.shadow
        assert shadow is not None
        told = shadow.describe()
        assert (told["state"], told["waiting_images"], told["waiting_bytes"]) == ("answers", 0, 0)
        assert [each["live"][0]["label"] for each in told["disagreements"]] == ["value 7", "three 7"]
        oldest = told["disagreements"][-1]
        assert (oldest["request_id"], oldest["image"]) == ("first", 0)
        assert oldest["shadow"][0] == {"label": "two 7", "probability": 0.5}
        assert bench.metric("topfive_shadow_probability_change_sum") == 1.0, "0.5 for each: it does not list the label"
        assert bench.metric("topfive_shadow_overlap_sum") == 0
        assert bench.metric("topfive_shadow_duration_seconds_count") == 4


async def test_the_shadow_counts_in_no_statistics_of_clients(versions: Path) -> None:
    async with trying(versions, **ALL) as bench:
        await bench.ask(raw(7, images=3))
        await bench.until(COMPARED, 3)
        shadow = bench.serving.models.find("tiny", 2)
        assert shadow.statistics.inference_count == 0
        assert bench.metric("topfive_images_total") == bench.metric("topfive_rejected_total") == 0


async def test_a_shadow_that_fails_is_counted_and_logged_once(versions: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with trying(versions, shadow="tiny:3@100%", shadow_busy_share=1) as bench:
        for _ in range(3):
            assert await bench.label(FAILS) == f"two {FAILS}"
        await bench.until(DROPPED, 3, reason="failed")
        assert caplog.text.count("the shadow tiny:3 does not answer, live answers are as before: internal") == 1
        assert await bench.label(7) == "two 7"
        await bench.until(COMPARED, 1)
        assert "the shadow tiny:3 answers again" in caplog.text


async def test_a_shadow_may_come_later_and_leave(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_versions(tmp_path)
    async with trying(tmp_path, shadow="tiny:4@100%", model_control="explicit") as bench:
        assert await bench.label(7) == "three 7"
        await bench.until(DROPPED, 1, reason="absent")
        assert "version 4 of model 'tiny' is not served" in caplog.text
        write_version(tmp_path, "classify", 4, classifier_graph(prefix="four"))
        await bench.serving.control.load("tiny")
        assert await bench.label(7) == "three 7"
        await bench.until(COMPARED, 1)
        await bench.serving.control.unload("tiny")
        with pytest.raises(UnknownModel):
            await bench.label(7)


async def test_another_model_that_prepares_otherwise_gets_the_images_as_they_came(tmp_path: Path) -> None:
    write_versions(tmp_path)
    write_model(tmp_path, "crop2", CROP_CONFIG, crop_graph())
    write_model(tmp_path, "other", ensemble_config(first="crop2"))
    async with trying(tmp_path, shadow="tiny=other:1@100%", shadow_busy_share=1) as bench:
        await bench.ask(Images(encode(np.full((4, 4, 3), 9, np.uint8), "PNG"), EncodedImage()))
        await bench.ask(raw(7, images=2))
        await bench.until(COMPARED, 3, agrees="no")
        shadow = bench.serving.trials.shadow
        assert shadow is not None
        said = [(each.live.labels[0], each.shadow.labels[0]) for each in shadow.disagreements]
        assert said == [("three 9", "value 9"), ("three 7", "value 7"), ("three 7", "value 7")]


async def test_under_load_the_shadow_drops_and_the_live_version_answers_all(versions: Path) -> None:
    """While requests are in flight no copy runs; what does not fit is dropped, and nothing else happens."""
    async with trying(versions, shadow="tiny:2@100%", shadow_busy_share=1, shadow_max_images=4, cores=2) as bench:
        answers = await asyncio.gather(*(bench.label(7) for _ in range(40)))
        assert answers == ["three 7"] * 40
        assert bench.metric(DROPPED, reason="full") == 36
        await bench.until(COMPARED, 4)
        assert bench.metric(DROPPED) == 36


async def test_what_a_shadow_was_sent_is_copied_no_further(versions: Path) -> None:
    """Or two services that are each other's shadow would send one request to and fro for ever."""
    async with trying(versions, **ALL) as bench:
        assert await bench.label(7, Asker("copy", copied=True)) == "three 7"
        assert await bench.label(7, Asker("first")) == "three 7"
        await bench.until(COMPARED, 1)
        assert bench.metric(COMPARED) + bench.metric(DROPPED) == 1


async def test_a_defect_of_the_shadow_costs_no_answer(
    versions: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with trying(versions, **ALL) as bench:
        monkeypatch.setattr(LocalTarget, "loads", lambda *_: 1 / 0)
        assert await bench.label(7, Asker("unlucky")) == "three 7"
        await bench.until(DROPPED, 1, reason="failed")
        assert "request unlucky could not be copied to the shadow" in caplog.text


async def test_the_canary_gets_who_is_its_own_and_whoever_names_a_version_gets_that(versions: Path) -> None:
    async with trying(versions, canary="tiny:3@30%") as bench:
        ours, others = of(bench, True), of(bench, False)
        assert await bench.label(7, Asker(ours.request_id)) == "three 7"
        assert await bench.label(7, Asker(others.request_id)) == "two 7"
        assert await bench.label(7, Asker(ours.request_id), version=1) == "value 7"
        assert await bench.label(7, Asker(ours.request_id), model="classify") == "three 7", "another model's requests"
        count = "topfive_canary_requests_total"
        assert bench.metric(count, arm="canary", code="200") == bench.metric(count, arm="live", code="200") == 1
        assert bench.metric("topfive_canary_duration_seconds_count") == 2
        assert bench.metric("topfive_canary_share") == 0.3


async def test_the_canary_goes_by_the_header_that_is_set(versions: Path) -> None:
    async with trying(versions, canary="tiny:3@50%", canary_header="X-User") as bench:
        given = {
            name: {await bench.label(7, Asker(f"id{n}", user=name)) for n in range(5)}
            for name in (b"a", b"b", b"c", b"d", b"e")
        }
        assert {len(labels) for labels in given.values()} == {1}
        assert set.union(*given.values()) == {"two 7", "three 7"}


@pytest.mark.parametrize("light", [True, False])
async def test_what_the_canary_fails_the_live_version_answers(
    versions: Path, light: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with trying(versions, canary="tiny:3@50%") as bench:
        asker = Asker(of(bench, True).request_id)
        door = raw(FAILS)
        door.light = light
        answer = await bench.ask(door, asker)
        assert (answer.model.version, answer.rows[0]["classes"][0]) == (2, f"two {FAILS}")
        assert f"request {asker.request_id} is answered by the live version: the canary failed" in caplog.text
        assert bench.metric("topfive_canary_requests_total", arm="canary", code="500") == 1
        assert bench.metric("topfive_canary_retried_total") == 1


async def test_a_failing_canary_is_rolled_back_and_nobody_noticed(versions: Path) -> None:
    async with trying(versions, canary="tiny:3@50%") as bench:
        canary = bench.serving.trials.canary
        assert canary is not None
        labels = [await bench.label(FAILS, Asker(f"r{number}")) for number in range(40)]
        assert labels == [f"two {FAILS}"] * 40
        bench.serving.trials.review()
        assert canary.describe()["state"] == "off"
        assert bench.metric("topfive_canary_rolled_back") == 1
        assert bench.metric("topfive_canary_share") == 0
        before = bench.metric("topfive_canary_requests_total", arm="canary")
        assert [await bench.label(7, Asker(f"r{number}")) for number in range(20)] == ["two 7"] * 20
        assert bench.metric("topfive_canary_requests_total", arm="canary") == before


async def test_a_clients_mistake_is_told_and_not_tried_again(versions: Path) -> None:
    async with trying(versions, canary="tiny:3@50%") as bench:
        asker = Asker(of(bench, True).request_id)
        door = raw(7)
        door.body = b"too short"
        with pytest.raises(MalformedRequest):
            await bench.ask(door, asker)
        assert bench.metric("topfive_canary_requests_total", arm="canary", code="400") == 1
        assert bench.metric("topfive_canary_retried_total") == 0


async def test_what_both_versions_fail_is_told(tmp_path: Path) -> None:
    write_versions(tmp_path)
    write_version(tmp_path, "classify", 2, classifier_graph(labels=100))
    async with trying(tmp_path, canary="tiny:3@50%") as bench:
        with pytest.raises(BackendFailure):
            await bench.ask(raw(FAILS), Asker(of(bench, True).request_id))


async def test_a_canary_that_is_not_served_costs_nothing(versions: Path) -> None:
    async with trying(versions, canary="tiny:9@50%") as bench:
        assert await bench.label(7, of(bench, True)) == "three 7"
        canary = bench.serving.trials.canary
        assert canary is not None
        assert canary.describe()["state"] == "absent"
        assert bench.metric("topfive_canary_share") == 0


async def test_the_only_version_answers_though_it_is_named_as_canary(tmp_path: Path) -> None:
    write_model(tmp_path, "crop", CROP_CONFIG, crop_graph())
    write_versions(tmp_path)
    text = (tmp_path / "classify" / "config.pbtxt").read_text()
    write_model(tmp_path, "classify", text.replace("all { }", "specific { versions: [ 3 ] }"))
    async with trying(tmp_path, canary="tiny:3@50%") as bench:
        assert {await bench.label(7, Asker(f"r{number}")) for number in range(8)} == {"three 7"}
        assert bench.metric("topfive_canary_requests_total") == 0


async def test_canary_and_shadow_go_together(versions: Path) -> None:
    """What the canary answers is not compared."""
    async with trying(versions, canary="tiny:3@50%", **ALL) as bench:
        for wanted, label in ((True, "three 7"), (False, "value 7")):
            assert await bench.label(7, Asker(of(bench, wanted).request_id)) == label
        await bench.until(COMPARED, 1)
        assert bench.metric(COMPARED) == 1
