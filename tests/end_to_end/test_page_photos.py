"""The page in a real browser, beyond one photo and its labels: several photos, two answers, the crop, the code.

And files that the page makes anew, and cameras that fail. What one photo leads to is in `tests.end_to_end.test_page`.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.conftest import Encode
from tests.end_to_end.conftest import Open
from tests.testkit.browser import CHROMIUM, contrasts
from tests.testkit.serving_process import ROOT, ServingProcess, serving
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    classifier_graph,
    crop_graph,
    ensemble_config,
    write_model,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

COFFEE: Final = ROOT / "docs" / "coffee.jpg"
EXAMPLES: Final = ROOT / "service" / "topfive" / "http" / "static" / "page"
DRAWING: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}"><rect width="9" height="9"/></svg>'
KEY: Final = "correct-horse-battery-staple"

expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """A service that asks for a key: two ensembles with other labels, and two versions of a classifier alone."""
    folder = tmp_path_factory.mktemp("versions")
    repository = folder / "models"
    write_model(repository, "crop", CROP_CONFIG, crop_graph())
    write_model(repository, "classify", CLASSIFIER_CONFIG, classifier_graph())
    write_model(repository, "ensemble", ensemble_config())
    write_model(
        repository,
        "classify_other",
        CLASSIFIER_CONFIG.replace('name: "classify"', 'name: "classify_other"'),
        classifier_graph(prefix="thing"),
    )
    other = ensemble_config().replace('"classify"', '"classify_other"')
    write_model(repository, "other", other)
    every = f"{CLASSIFIER_CONFIG}version_policy {{ all {{}} }}\n"
    write_model(repository, "alone", every, classifier_graph(prefix="later"), versions=(1, 2))
    write_model(repository, "alone", every, classifier_graph(prefix="sooner"))
    (folder / "keys.txt").write_text(f"{KEY}\n")
    keys = ("--api-keys-file", str(folder / "keys.txt"), "--default-model", "ensemble")
    with serving("--model-repository", str(repository), *keys) as process:
        yield process


def give_key(page: Page) -> None:
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    wait_for_answer(page)
    expect(page.locator("#compare")).to_be_visible()


def wait_for_answer(page: Page) -> None:
    expect(page.locator("#answer")).to_have_attribute("data-state", "answer")


def test_the_crop_is_drawn_where_the_graph_says_that_it_lies(visit: Open, tmp_path: Path, encode: Encode) -> None:
    """Of a wide photo and of one so tall that its frame does not take its shape: 224 of 256 of the shorter side."""
    page = visit().page
    for height, width in ((200, 400), (600, 200)):
        file = tmp_path / f"{height}.png"
        file.write_bytes(encode(np.zeros((height, width, 3), np.uint8), "PNG"))
        page.set_input_files("#file", file)
        wait_for_answer(page)
        expect(page.get_by_text("The model sees what is inside the frame, at 224 × 224 pixels.")).to_be_visible()
        box, photo = page.locator("#crop").bounding_box(), page.locator("#photo").bounding_box()
        assert box is not None
        assert photo is not None
        scale = min(photo["width"] / width, photo["height"] / height)  # as object-fit: contain shows it
        seen = min(width, height) * 224 / 256 * scale
        assert (box["width"], box["height"]) == pytest.approx((seen, seen), abs=1)
        for at, length in (("x", "width"), ("y", "height")):
            middle = photo[at] + photo[length] / 2  # type: ignore[literal-required]
            assert box[at] + box[length] / 2 == pytest.approx(middle, abs=1)  # type: ignore[literal-required]


def test_rules_are_read_as_the_import_means_them(visit: Open) -> None:
    """The share that is seen under each rule, and nothing for a rule or a configuration that is not known."""
    page = visit().page
    found = page.evaluate(
        """async () => {
          const { rulesOf, seenShare } = await import("/static/page/crop.js");
          const seen = (rules) => seenShare({ width: 800, height: 400 }, { crop: [200, 200], ...rules });
          const config = (text) => ({ parameters: { preprocessing: { string_value: text } } });
          return [
            seen({ resize: "short-side", short_side: 400 }), seen({ resize: "squash", resize_to: [250, 400] }),
            seen({ resize: "letterbox" }), seen({ resize: "none" }), seen({ resize: "other" }),
            rulesOf({}), rulesOf(config("no json")), rulesOf(config("{}")), rulesOf(config('{"crop": [1, 2]}')),
          ];
        }"""
    )
    shares = [each and (each["width"], each["height"]) for each in found[:5]]
    assert shares == [(0.25, 0.5), (0.5, 0.8), (1, 1), (0.25, 0.5), None]
    assert found[5:] == [None, None, None, {"crop": [1, 2]}]


def test_who_is_not_sure_is_told_to_be_so(visit: Open, service: ServingProcess) -> None:
    """Below 20 %, as for the example of an astronaut, of which the model has no name; not above."""
    page = visit().page
    first = service.classify((EXAMPLES / "astronaut.jpg").read_bytes(), "image/jpeg").json["predictions"][0]
    assert first["probability"] < 0.2
    page.get_by_role("button", name="An astronaut").click()
    wait_for_answer(page)
    expect(page.get_by_text("The model is not sure. Perhaps it has no name for what is in the photo")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("The model is not sure: ")
    page.get_by_role("button", name="A cup of coffee").click()
    expect(page.locator("#bars .label").first).to_have_text("espresso")
    expect(page.locator("#doubt")).to_be_hidden()


@pytest.mark.parametrize(("width", "height", "size"), [(300, 200, "300 × 200"), (9000, 3000, "3464 × 1155")])
def test_what_the_browser_shows_and_the_service_refuses_is_made_anew(
    visit: Open, tmp_path: Path, width: int, height: int, size: str
) -> None:
    """Within bounds; the page says so, and the code on it is for what was asked with."""
    here = visit()
    file = tmp_path / "drawing.svg"
    file.write_text(DRAWING.format(width, height))
    here.choose(file)
    wait_for_answer(here.page)
    said = (
        f"The service does not take drawing.svg as it is. This page has made a JPEG of it, {size}, and asked with that."
    )
    expect(here.page.locator("#remade")).to_have_text(said)
    expect(here.page.locator("#code")).to_contain_text("@drawing.jpg")
    expect(here.page.get_by_role("link", name="Save drawing.jpg")).to_be_visible()
    here.choose(COFFEE)
    expect(here.page.locator("#bars .label").first).to_have_text("espresso")
    expect(here.page.locator("#remade")).to_be_hidden()
    assert here.object_urls() == 1


CAMERAS: Final = {
    "may not be used": "async () => { throw new DOMException('no', 'NotAllowedError'); }",
    "No camera was found": "async () => { throw new DOMException('no', 'NotFoundError'); }",
    "another program may be using it": "async () => { throw new DOMException('no', 'NotReadableError'); }",
    "(out of order)": "async () => { throw new DOMException('out of order', 'OddError'); }",
}


def test_a_camera_that_fails_leaves_the_answer_alone(visit: Open) -> None:
    """Whether it may not be used, is not there, stops by itself, or gives no picture; and it says what to do."""
    page = visit().page
    page.set_input_files("#file", COFFEE)
    wait_for_answer(page)
    shown = page.locator("#answer").inner_text()
    camera, alert = page.get_by_role("button", name="Use the camera"), page.get_by_role("alert")
    page.evaluate("void (window.real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices))")
    for text, broken in CAMERAS.items():
        page.evaluate(f"void (navigator.mediaDevices.getUserMedia = {broken})")
        camera.click()
        expect(alert).to_contain_text(text)
        expect(alert).to_contain_text("hoose a file")
        assert page.locator("#answer").inner_text() == shown
    page.evaluate("void (navigator.mediaDevices.getUserMedia = window.real)")
    camera.click()
    expect(page.get_by_role("button", name="Take the photo")).to_be_focused()
    expect(alert).to_be_hidden()
    track = "document.getElementById('preview').srcObject.getVideoTracks()[0]"
    page.evaluate(f"{track}.dispatchEvent(new Event('ended'))")
    expect(alert).to_contain_text("The camera has stopped.")
    expect(camera).to_be_focused()
    camera.click()
    page.evaluate("Object.defineProperty(document.getElementById('preview'), 'videoWidth', { value: 0 })")
    page.get_by_role("button", name="Take the photo").click()
    expect(alert).to_contain_text("The camera gives no picture.")
    assert page.locator("#answer").inner_text() == shown
    expect(page.get_by_role("img", name="The photo coffee.jpg")).to_be_visible()
    expect(page.locator("#crop")).to_be_visible()


def test_every_refusal_has_words_of_its_own(visit: Open) -> None:
    """Those of the API by its codes, those of what is before it by their status; and none tells a person a code."""
    page = visit().page
    codes = (ROOT / "service" / "topfive" / "ground" / "errors.py").read_text().split('code: ClassVar[str] = "')[1:]
    codes += (ROOT / "service" / "topfive" / "ground" / "errors.py").read_text().split('    code = "')[1:]
    names = sorted({text.split('"')[0] for text in codes} - {"client_disconnected", "configuration"})
    said = page.evaluate(
        """async (codes) => {
          const { inWords } = await import("/static/page/refusals.js");
          const words = (error) => Object.values(inWords({ message: "", ...error })).join(" ");
          return [...codes.map((code) => words({ code })), ...[408, 429, 502, 504].map((status) => words({ status }))];
        }""",
        names,
    )
    assert len(names) == 13
    assert len(set(said)) == len(said)
    assert not any("The service has refused this." in each or "_" in each for each in said)


def test_who_is_overloaded_says_when_to_come_again(visit: Open) -> None:
    page = visit().page
    body = json.dumps({"error": "the queue is full", "code": "queue_full"})
    page.route(
        "**/v1/classify", lambda route: route.fulfill(status=429, body=body, headers={"Retry-After": "30"}), times=1
    )
    page.set_input_files("#file", COFFEE)
    expect(page.get_by_role("alert")).to_contain_text("The service has too much to do just now.")
    expect(page.get_by_role("timer")).to_contain_text("Try again in")
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)
    expect(page.get_by_role("timer")).to_be_hidden()


def run(page: Page, tab: str, command: list[str], folder: Path, *, has: str = "classify") -> str:
    """What the code under `tab` prints, fed to `command` in `folder`."""
    page.get_by_role("tab", name=tab).click()
    expect(page.locator("#code")).to_contain_text(has)
    code = page.locator("#code").inner_text()
    environment = {**os.environ, "API_KEY": KEY}
    done = subprocess.run(
        command, input=code, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert KEY not in code
    return done.stdout


def test_the_code_runs_as_it_stands(visit: Open, versions: ServingProcess, tmp_path: Path, encode: Encode) -> None:
    """In every language, with a key, for a chosen model, and for a file with an odd name."""
    file = tmp_path / 'it\'s "a" cup.png'
    file.write_bytes(encode(np.full((40, 60, 3), 7, np.uint8), "PNG"))
    here = visit(versions)
    page = here.page
    here.may_be_refused.update({"/v2/models/crop/config"})
    here.choose(file)
    give_key(page)
    page.get_by_role("combobox", name="Model").select_option("other")
    expect(page.locator("#bars .label").first).to_have_text("thing 7")
    assert json.loads(run(page, "curl", ["bash"], tmp_path))["predictions"][0]["label"] == "thing 7"
    assert run(page, "Python", [sys.executable, "-"], tmp_path).splitlines()[0] == "0.500 thing 7"
    over_grpc = run(page, "gRPC", [sys.executable, "-"], tmp_path, has="tritonclient")
    assert over_grpc.splitlines()[0] == "0.500 thing 7"
    node = shutil.which("node")
    if node is not None:
        printed = run(page, "JavaScript", [node, "--input-type=module", "-"], tmp_path)
        assert printed.splitlines()[0] == "0.500 thing 7"


def test_two_answers_are_shown_side_by_side(
    visit: Open, versions: ServingProcess, tmp_path: Path, encode: Encode
) -> None:
    """With what only one of them says marked; and no longer, once nothing is chosen beside it."""
    file = tmp_path / "dark.png"
    file.write_bytes(encode(np.full((40, 60, 3), 7, np.uint8), "PNG"))
    here = visit(versions)
    here.may_be_refused.update({"/v2/models/crop/config"})
    page = here.page
    here.choose(file)
    give_key(page)
    page.get_by_role("combobox", name="beside").select_option("other")
    columns = page.locator("#pair .column")
    expect(columns).to_have_count(2)
    expect(page.locator("#beside-verdict")).to_have_text("They differ: value 7 (50.0 %) against thing 7 (50.0 %).")
    expect(columns.first.locator("h3")).to_have_text("ensemble, version 1")
    expect(columns.nth(1).locator("h3")).to_have_text("other, version 1")
    assert columns.nth(1).locator(".mark").all_inner_texts() == ["only here"] * 5
    expect(page.locator("#crop-note")).to_be_hidden()  # these graphs do not say what they see
    page.get_by_role("combobox", name="beside").select_option("nothing")
    expect(page.locator("#beside")).to_be_hidden()
    page.get_by_role("combobox", name="Model").select_option("alone, version 1")
    expect(page.get_by_role("alert")).to_contain_text("This model takes pictures of one size only.")
    file.write_bytes(encode(np.full((2, 2, 3), 7, np.uint8), "PNG"))
    here.choose(file)
    wait_for_answer(page)
    model = page.get_by_role("combobox", name="Model")
    names = ["alone, version 1", "alone, version 2", "ensemble", "other"]
    assert model.get_by_role("option").all_inner_texts() == names
    page.get_by_role("combobox", name="beside").select_option("alone, version 2")
    expect(page.locator("#beside-verdict")).to_contain_text("They differ: sooner 7 ")
    expect(page.locator("#beside-verdict")).to_contain_text("against later 7 ")
    expect(page.locator("#code")).to_contain_text("?model=alone&version=1")
    page.get_by_role("combobox", name="beside").select_option("nothing")
    expect(page.locator("#beside")).to_be_hidden()


def test_differences_are_marked(visit: Open) -> None:
    """Points of difference where both have the label, from one point on."""
    marks, said = visit().page.evaluate(
        """async () => {
          const { showBeside, verdict } = await import("/static/page/beside.js");
          const answer = (model, ...shares) => ({
            model, version: "1", predictions: shares.map(([label, probability]) => ({ label, probability })),
          });
          const one = answer("one", ["cup", 0.6], ["mug", 0.2], ["pot", 0.1]);
          const other = answer("two", ["cup", 0.5], ["mug", 0.205], ["jug", 0.1]);
          showBeside([one, other]);
          const rows = [...document.querySelectorAll("#pair li")];
          return [rows.map((row) => row.querySelector(".mark")?.textContent ?? ""),
                  [verdict(one, other), verdict(one, one), verdict(one, answer("none"))]];
        }"""
    )
    assert marks == ["+10.0 points", "", "only here", "−10.0 points", "", "only here"]
    assert said == [
        "Both say cup, 60.0 % against 50.0 %.",
        "Both say cup, and are as sure of it.",
        "One of the two gives no label.",
    ]


@pytest.fixture
def several_files(tmp_path: Path) -> list[Path]:
    files = [EXAMPLES / name for name in ("coffee.jpg", "cat.jpg", "rocket.jpg", "clock.jpg")]
    texts = {"=cmd,'x'.jpg": b"no photo", "cut.jpg": COFFEE.read_bytes()[:9000], "d.svg": DRAWING.format(9, 9).encode()}
    for name, content in texts.items():
        (tmp_path / name).write_bytes(content)
    return [*files, *(tmp_path / name for name in texts)]


def test_several_photos_are_a_grid_and_a_table(visit: Open, several_files: list[Path], tmp_path: Path) -> None:
    """The refused with their reason; never more than four are asked at once; and each can be looked at by itself."""
    here = visit()
    page = here.page
    underway: list[int] = []

    def count(route: Route) -> None:
        underway.append(1)
        most.append(len(underway))
        route.fallback()

    def finished(request: Request) -> None:
        if "classify" in request.url:
            underway.pop()

    most: list[int] = []
    page.route("**/v1/classify", count)
    page.on("requestfinished", finished)
    page.set_input_files("#file", several_files)
    save = page.get_by_role("button", name="Save as a table")
    expect(save).to_be_visible()
    assert 2 <= max(most) <= 4
    expect(page.locator("#many-told")).to_have_text("7 of 7 photos, 2 refused")
    expect(page.get_by_role("status")).to_have_text("7 of 7 photos, 2 refused")
    assert page.locator("#grid .name").all_inner_texts() == [file.name for file in several_files]
    assert page.locator("#grid .label").all_inner_texts()[4:6] == [
        "This file is not a picture.",
        "This file is cut off: a part of the picture is missing.",
    ]
    drawn = page.locator("#grid canvas").evaluate_all("all => all.map((each) => each.width === 240)")
    assert drawn == [True] * 4 + [False] * 2 + [True]
    with page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename == "topfive.csv"
    download.value.save_as(tmp_path / "topfive.csv")
    content = (tmp_path / "topfive.csv").read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == 8
    rows = list(csv.DictReader((tmp_path / "topfive.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows[:5]] == ["coffee.jpg", "cat.jpg", "rocket.jpg", "clock.jpg", "'=cmd,'x'.jpg"]
    assert [row["result"] for row in rows] == ["answered"] * 4 + ["refused"] * 2 + ["answered"]
    assert rows[0]["label 1"] == "espresso"
    assert 0.5 < float(rows[0]["probability 1"]) < 1
    assert "422 undecodable_image" in rows[5]["problem"]
    assert "asked with a JPEG that the page made of it, 9 × 9" in rows[6]["problem"]
    page.get_by_role("button", name="coffee.jpg").click()
    expect(page.locator("#bars .label").first).to_have_text("espresso")
    expect(page.get_by_role("img", name="The photo coffee.jpg")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#many")).to_be_hidden()
    assert here.object_urls() == 1


def test_several_photos_can_be_stopped_and_wait_for_whom_has_too_much_to_do(
    visit: Open, several_files: list[Path]
) -> None:
    """A refusal that would meet all of them is told once, and ends them."""
    page = visit().page
    told = {"error": "the queue is full", "code": "queue_full"}
    busy = [json.dumps(told)]
    page.route(
        "**/v1/classify",
        lambda route: (
            route.fulfill(status=429, body=busy.pop(), headers={"Retry-After": "1"}) if busy else route.fallback()
        ),
    )
    page.set_input_files("#file", several_files[:2])
    expect(page.locator("#many-told")).to_have_text("2 of 2 photos")
    page.unroute("**/v1/classify")
    page.route("**/v1/classify", lambda route: None)
    page.set_input_files("#file", several_files)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#many-told")).to_have_text("0 of 7 photos, 7 not asked")
    page.unroute("**/v1/classify")
    page.route("**/v1/classify", lambda route: route.abort())
    page.set_input_files("#file", several_files)
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    page.unroute("**/v1/classify")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#many-told")).to_have_text("7 of 7 photos, 2 refused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_several_photos_are_readable_and_not_beyond_the_edge(
    visit: Open, several_files: list[Path], scheme: str
) -> None:
    """In both schemes, with contrast; and so is what tells of a file that was made anew, and of doubt."""
    page = visit(
        viewport={"width": 390, "height": 844}, is_mobile=True, color_scheme=scheme, reduced_motion="reduce"
    ).page
    page.set_input_files("#file", several_files)
    expect(page.get_by_role("button", name="Save as a table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert {text: ratio for text, ratio in contrasts(page).items() if ratio < 4.5} == {}
    page.get_by_role("tab", name="Python").click()  # whose longest line is longer than the screen is wide
    expect(page.locator("#code")).to_contain_text("urllib")
    for shown, choose in (("#remade", "d.svg"), ("#doubt", "An astronaut")):
        page.get_by_role("button", name=choose).click()
        expect(page.locator(shown)).to_be_visible()
        assert {text: ratio for text, ratio in contrasts(page).items() if ratio < 4.5} == {}
        assert page.evaluate("document.documentElement.scrollWidth") == 390
