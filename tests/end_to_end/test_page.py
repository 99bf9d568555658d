"""The page at `/` in a real browser, on a real service: what people see and do there.

How it is served is in `tests.routes.test_page`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.conftest import Encode, Photo
from tests.end_to_end.conftest import Open
from tests.testkit.browser import CHROMIUM, OTHER_HOST, Visit, contrasts
from tests.testkit.serving_process import ROOT, ServingProcess, serving
from tests.testkit.tiny_models import (
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    PROBABILITIES,
    classifier_graph,
    crop_graph,
    endless_start,
    ensemble_config,
    write_model,
    write_several_repository,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

COFFEE: Final = ROOT / "docs" / "coffee.jpg"
KEY: Final = "correct-horse-battery-staple"
MARKUP: Final = "<img src=x onerror=alert(1)>"
STAGES: Final = ("decode", "resize", "queue", "inference", "other")

expect.set_options(timeout=60_000)


@pytest.fixture
def cat_file(tmp_path: Path, cat: Photo, encode: Encode) -> Path:
    path = tmp_path / "cat.png"
    path.write_bytes(encode(cat, "PNG"))
    return path


@pytest.fixture(scope="module")
def dark_file(tmp_path_factory: pytest.TempPathFactory, encode: Encode) -> Path:
    """A picture that the tiny models label with `value 7` and so on."""
    path = tmp_path_factory.mktemp("dark") / "dark.png"
    path.write_bytes(encode(np.full((40, 60, 3), 7, np.uint8), "PNG"))
    return path


@pytest.fixture(scope="module")
def locked(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """A service that asks for a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"{KEY}\n")
    with serving("--model-repository", str(tiny_repository), "--api-keys-file", str(keys)) as process:
        yield process


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """A service of two ensembles, whose labels are markup."""
    repository = tmp_path_factory.mktemp("several")
    write_model(repository, "crop", CROP_CONFIG, crop_graph())
    write_model(repository, "classify", CLASSIFIER_CONFIG, classifier_graph(prefix=MARKUP))
    for name in ("first", "second"):
        write_model(repository, name, ensemble_config())
    with serving("--model-repository", str(repository)) as process:
        yield process


def bars(page: Page) -> list[tuple[str, str]]:
    """Labels and probabilities, as they are shown once an answer has come."""
    expect(page.locator("#answer")).to_have_attribute("data-state", "answer")
    items = page.get_by_role("list").get_by_role("listitem")
    labels, values = items.locator(".label").all_inner_texts(), items.locator(".value").all_inner_texts()
    return list(zip(labels, values, strict=True))


def labels(page: Page) -> list[str]:
    return [label for label, _ in bars(page)]


def number(text: str) -> float:
    found = re.search(r"[\d.]+", text)
    assert found is not None, text
    return float(found[0])


def test_a_photo_is_shown_with_what_the_api_says_of_it(visit: Open, service: ServingProcess) -> None:
    """Five labels and probabilities, the time each stage took, the model and its version."""
    page = visit().page
    with page.expect_response("**/v1/classify") as answered:
        page.set_input_files("#file", COFFEE)
    answer = service.classify(COFFEE.read_bytes(), "image/jpeg").json
    predictions = answer["predictions"]
    shown = bars(page)
    assert [label for label, _ in shown] == [prediction["label"] for prediction in predictions]
    for (_, value), fill, prediction in zip(shown, page.locator("#bars .fill").all(), predictions, strict=True):
        assert number(value) == pytest.approx(100 * prediction["probability"], abs=0.051)
        width = fill.evaluate("node => node.style.width")
        assert number(width) == pytest.approx(100 * prediction["probability"], abs=0.01)

    header = answered.value.headers["server-timing"]
    durations = {name: float(value) for name, value in re.findall(r"(\w+);dur=([\d.]+)", header)}
    durations["other"] = 2 * durations["total"] - sum(durations.values())
    assert tuple(page.locator("#legend dt").all_inner_texts()) == STAGES
    for name, value in zip(STAGES, page.locator("#legend dd").all_inner_texts(), strict=True):
        assert number(value) == pytest.approx(durations[name], abs=0.51 if "." not in value else 0.051)
    widths = [number(part.evaluate("node => node.style.width")) for part in page.locator("#split span").all()]
    assert sum(widths) == pytest.approx(100, abs=0.1)
    assert number(page.locator("#total").inner_text()) == pytest.approx(durations["total"], abs=0.51)

    facts = page.locator("#facts dd").all_inner_texts()
    assert facts[:2] == [answer["model"], answer["version"]]
    service.wait_for_log(facts[2])  # the request, by its id
    expect(page.get_by_role("img", name="The photo coffee.jpg")).to_be_visible()
    expect(page.locator("#caption")).to_have_text("coffee.jpg · 600 × 400 · 72 kB")


def test_a_dropped_photo_is_answered(visit: Open) -> None:
    """And while it is dragged, the frame says where it would land."""
    here = visit()
    hint = here.page.get_by_text("Drop it", exact=True)
    here.drag(COFFEE)
    expect(hint).to_be_visible()
    here.drag(COFFEE, then="leave")
    expect(hint).to_be_hidden()
    here.drag(COFFEE)
    here.drag(COFFEE, then="drop")
    assert labels(here.page)[0] == "espresso"
    expect(hint).to_be_hidden()


def test_a_pasted_photo_is_answered(visit: Open, cat_file: Path) -> None:
    here = visit()
    here.copy_image(cat_file.read_bytes())
    here.page.keyboard.press("Control+V")
    assert "cat" in labels(here.page)[0]


def test_an_example_is_answered_and_can_be_saved_for_the_command(visit: Open, tmp_path: Path) -> None:
    page = visit().page
    page.get_by_role("button", name="A cup of coffee").click()
    assert labels(page)[0] == "espresso"
    with page.expect_download() as download:
        page.get_by_role("link", name="Save coffee.jpg").click()
    download.value.save_as(tmp_path / "coffee.jpg")
    assert run_shown_command(page, tmp_path)["predictions"][0]["label"] == "espresso"


def test_the_camera_takes_a_photo_and_is_let_go(visit: Open) -> None:
    """Whether the photo is taken or not."""
    page = visit().page
    camera = page.get_by_role("button", name="Use the camera")
    for leave in ("Enter", "Escape"):
        camera.click()
        expect(page.get_by_role("button", name="Take the photo")).to_be_focused()
        track = page.evaluate_handle("document.getElementById('preview').srcObject.getVideoTracks()[0]")
        assert track.evaluate("track => track.readyState") == "live"
        page.keyboard.press(leave)
        expect(camera).to_be_focused()
        assert track.evaluate("track => track.readyState") == "ended"
        assert len(bars(page)) == 5
    expect(page.locator("#caption")).to_contain_text("camera.jpg")


def test_where_the_browser_gives_neither_camera_nor_clipboard_the_rest_works(visit: Open) -> None:
    """Away from this machine and without HTTPS; the command is selected instead of copied."""
    page = visit(host=OTHER_HOST).page
    expect(page.get_by_role("button", name="A cup of coffee")).to_be_visible()
    expect(page.get_by_role("button", name="Use the camera")).to_be_hidden()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copy")).to_have_text("Selected: press Ctrl+C")
    assert page.evaluate("getSelection().toString()") == page.locator("#code").inner_text()
    assert f"http://{OTHER_HOST}:" in page.locator("#code").inner_text()


def run_shown_command(page: Page, folder: Path, **environment: str) -> Any:
    """What the curl line prints, run by a shell in `folder`."""
    done = subprocess.run(
        ["bash", "-c", page.locator("#code").inner_text()],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_shown_command_does_the_same(visit: Open, tmp_path: Path) -> None:
    """Whatever the file is called; and it can be copied."""
    here = visit()
    here.allow("clipboard-read", "clipboard-write")
    for name in ("cup.jpg", 'it\'s "a" $HOME `cup` \\ of & coffee.jpg', "Käffchen (1).jpg"):
        (tmp_path / name).write_bytes(COFFEE.read_bytes())
        here.choose(tmp_path / name)
        expect(here.page.locator("#caption")).to_contain_text(name)
        shown = labels(here.page)
        answer = run_shown_command(here.page, tmp_path)
        assert [prediction["label"] for prediction in answer["predictions"]] == shown
        here.page.get_by_role("button", name="Copy").click()
        expect(here.page.locator("#copy")).to_have_text("Copied")
        assert here.clipboard() == here.page.locator("#code").inner_text()


@pytest.mark.parametrize(
    ("name", "media_type", "content", "status", "said"),
    [
        ("not-a-photo.jpg", "image/jpeg", b"no photo at all", 422, "This file is not a picture."),
        (
            "cut.jpg",
            "image/jpeg",
            COFFEE.read_bytes()[:9000],
            422,
            "This file is cut off: a part of the picture is missing.",
        ),
        ("notes.pdf", "application/pdf", b"%PDF-1.7 and so on", 415, "This kind of file is not taken."),
    ],
)
def test_an_error_is_told_in_a_persons_words_and_folded_below_as_the_api_says_it(
    visit: Open,
    service: ServingProcess,
    tmp_path: Path,
    name: str,
    media_type: str,
    content: bytes,
    status: int,
    said: str,
) -> None:
    (tmp_path / name).write_bytes(content)
    here = visit()
    here.choose(COFFEE)
    assert len(bars(here.page)) == 5
    here.choose(tmp_path / name)
    error = service.classify(content, media_type)
    assert error.status == status
    alert = here.page.get_by_role("alert")
    expect(alert.locator(".message")).to_have_text(said)
    technical = here.page.locator("#technical")
    expect(technical.get_by_text(error.json["error"])).to_be_hidden()
    technical.get_by_text("What the service said").click()
    expect(technical.get_by_text(error.json["error"])).to_be_visible()
    expect(technical.locator(".code")).to_have_text(f"{status} {error.json['code']}")
    expect(here.page.locator("#bars")).to_be_hidden()
    expect(here.page.locator("#crop")).to_be_hidden()
    expect(here.page.get_by_role("button", name="Try again")).to_be_hidden()
    here.choose(COFFEE)
    assert labels(here.page)[0] == "espresso"
    expect(alert).to_be_hidden()
    expect(technical).to_be_hidden()


def test_who_comes_too_early_is_told_when_to_come_again_and_who_comes_too_late_that_nobody_answers(
    visit: Open, tmp_path: Path, dark_file: Path
) -> None:
    """On a service that warms up for hours, and is then killed."""
    with ServingProcess("--model-repository", str(endless_start(tmp_path / "models"))) as starting:
        here = visit(starting)
        here.choose(dark_file)
        alert = here.page.get_by_role("alert")
        expect(alert.locator(".message")).to_have_text("The service is not ready yet.")
        refusal = starting.classify(b"", "image/png")
        expect(here.page.locator("#technical")).to_contain_text("503 not_ready")
        expect(here.page.locator("#technical")).to_contain_text(refusal.json["error"])
        assert float(refusal.headers["retry-after"]) == 1
        expect(here.page.get_by_role("timer")).to_have_text("You can try again now.")  # a second later
        starting.signal(signal.SIGKILL)
        starting.wait()
        here.page.get_by_role("button", name="Try again").click()
        expect(alert.locator(".message")).to_have_text("The service does not answer.")
        expect(here.page.locator("#technical")).to_contain_text(f"Nothing answers at {here.origin}.")
        here.page.get_by_role("button", name="A cup of coffee").click()
        here.page.get_by_role("button", name="Try again").click()
        expect(alert.locator(".message")).to_have_text("The service does not answer.")
        expect(here.page.locator("#caption")).to_contain_text(dark_file.name)
        expect(here.page.locator("#frame[data-busy]")).to_have_count(0)
    expect(here.page.get_by_role("heading", name="No answer")).to_be_focused()


def test_of_two_quick_choices_only_the_second_is_answered(visit: Open, cat_file: Path) -> None:
    """The first is given up, also where its answer was on its way; and no photo is held on to but the last."""
    here = visit()
    held: list[Route] = []
    abandoned: list[str] = []
    here.page.on("requestfailed", lambda request: abandoned.append(str(request.failure)))
    here.page.route("**/v1/classify", lambda route: held.append(route), times=1)  # noqa: PLW0108  # Playwright marks its handlers
    with here.page.expect_request("**/v1/classify"):
        here.choose(COFFEE)
    expect(here.page.locator("#answer")).to_have_attribute("aria-busy", "true")
    expect(here.page.get_by_role("heading", name="Classifying…")).to_be_visible()
    here.choose(cat_file)
    shown = bars(here.page)
    assert "cat" in shown[0][0]
    held[0].continue_()
    here.page.get_by_role("button", name="Copy").click()
    assert abandoned == ["net::ERR_ABORTED"]
    assert bars(here.page) == shown
    assert here.object_urls() == 1
    expect(here.page.locator("#answer")).to_have_attribute("aria-busy", "false")


def test_what_is_no_file_is_refused_by_the_page(visit: Open, tmp_path: Path) -> None:
    here = visit()
    here.drag(tmp_path)
    here.drag(tmp_path, then="drop")
    expect(here.page.get_by_role("alert")).to_contain_text("This file cannot be read.Is it a folder")


def test_where_several_models_are_served_a_person_chooses(
    visit: Open, several: ServingProcess, dark_file: Path
) -> None:
    """Among those that take photos: what they run as steps is no choice. And a label is text, whatever it holds."""
    here = visit(several)
    here.may_be_refused.add("/v2/models/crop/config")  # it only prepares images, as its refusal tells the page
    here.choose(dark_file)
    error = several.classify(dark_file.read_bytes(), "image/png").json
    expect(here.page.get_by_role("alert").locator(".message")).to_have_text("Several models are served here.")
    expect(here.page.locator("#technical")).to_contain_text(error["error"])
    choice = here.page.get_by_role("combobox", name="Model")
    expect(choice).to_have_value("")
    expect(choice).to_be_focused()
    assert choice.get_by_role("option").all_inner_texts() == ["choose one", "first", "second"]
    choice.select_option("second")
    assert labels(here.page) == [f"{MARKUP} {value}" for value in range(7, 12)]
    expect(here.page.locator("#facts")).to_contain_text("second")
    assert run_shown_command(here.page, dark_file.parent)["model"] == "second"


def test_a_model_may_have_fewer_labels_and_give_none_at_all(
    visit: Open, tmp_path: Path, dark_file: Path, cat_file: Path
) -> None:
    """The heading counts them; for none there is a sentence, also for who listens. The next photo has its own again."""
    with serving("--model-repository", str(write_several_repository(tmp_path / "models", 2))) as process:
        here = visit(process)
        page = here.page
        here.choose(dark_file)
        expect(page.get_by_role("heading", name="No labels", exact=True)).to_be_visible()
        assert bars(page) == []
        expect(page.get_by_text("No label is above the threshold of this model.").first).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("No label is above the threshold of this model.")
        here.choose(cat_file)
        expect(page.get_by_role("heading", name="Two labels", exact=True)).to_be_visible()
        assert labels(page) == ["label 0", "label 1"]
        expect(page.locator("#none")).to_be_hidden()


def test_where_a_key_is_asked_for_it_is_sent_with_everything_and_shown_nowhere(
    visit: Open, locked: ServingProcess, dark_file: Path
) -> None:
    here = visit(locked)
    page = here.page
    here.choose(dark_file)
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("This service asks for a key.")
    expect(page.locator("#technical")).to_contain_text("401 unauthenticated")
    page.keyboard.type("not-a-key-of-this-service")
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    page.keyboard.type(KEY)
    page.get_by_role("button", name="Use it").click()
    assert bars(page) == [
        (f"value {7 + rank}", f"{100 * share:.1f} %") for rank, share in enumerate((0.5, 0.25, 0.125))
    ] + [("value 10", "6.3 %"), ("value 11", "3.1 %")]
    assert len(PROBABILITIES) == 5
    assert KEY not in page.content()
    answer = run_shown_command(page, dark_file.parent, API_KEY=KEY)
    assert answer["predictions"][0]["label"] == "value 7"
    page.reload()
    here.choose(dark_file)
    assert labels(page)[0] == "value 7"
    assert page.evaluate("localStorage.length") == 0
    assert page.context.cookies() == []


def everything_shown(here: Visit, broken: Path) -> Iterator[str]:
    """The page in its states, one after the other."""
    yield "empty"
    here.choose(COFFEE)
    assert len(bars(here.page)) == 5
    yield "answer"
    here.choose(broken)
    expect(here.page.get_by_role("alert")).to_be_visible()
    yield "refused"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / f"{'longname' * 25}.jpg"
    path.write_bytes(b"no photo")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(visit: Open, broken: Path, scheme: str) -> None:
    """At least 4.5 (WCAG 2, level AA), in every state; and the dark one is dark."""
    here = visit(color_scheme=scheme, reduced_motion="reduce")
    for state in everything_shown(here, broken):
        found = contrasts(here.page)
        assert len(found) > 9
        assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}, state
    paper = here.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) == (scheme == "dark")


def test_on_a_phone_nothing_is_beyond_the_edge(visit: Open, broken: Path) -> None:
    here = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    for state in everything_shown(here, broken):
        assert here.page.evaluate("document.documentElement.scrollWidth") == 390, state
    expect(here.page.get_by_text("Drop photos here")).to_be_hidden()


def test_who_wants_no_motion_gets_none(visit: Open) -> None:
    moving = "document.getAnimations().length"
    here = visit(reduced_motion="reduce")
    here.page.route("**/v1/classify", lambda route: None)
    here.choose(COFFEE)
    expect(here.page.locator("#answer")).to_have_attribute("aria-busy", "true")
    assert here.page.evaluate(moving) == 0
    here.page.emulate_media(reduced_motion="no-preference")
    assert here.page.evaluate(moving) > 0


def is_ringed(target: Locator) -> bool:
    return bool(target.evaluate("node => parseFloat(getComputedStyle(node).outlineWidth) >= 2"))


def test_the_keyboard_is_enough(visit: Open) -> None:
    """In order, with a ring round what has the focus, and Enter opens the chooser."""
    page = visit().page
    examples = ("A cup of coffee", "A cat", "A rocket", "An astronaut", "A photographer", "A blurred clock")
    for name in ("The API", "Choose photos", "Use the camera", *examples, "Copy", "curl"):
        page.keyboard.press("Tab")
        role: Literal["link", "tab", "button"] = "link" if name == "The API" else "tab" if name == "curl" else "button"
        focused = page.get_by_role(role, name=name, exact=True)
        expect(focused).to_be_focused()
        assert is_ringed(focused)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.locator("#code")).to_contain_text("import urllib.request")
    page.get_by_role("button", name="Choose photos").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(COFFEE)
    assert labels(page)[0] == "espresso"
    assert chooser.value.is_multiple()


def test_a_screen_reader_finds_names_for_everything(visit: Open) -> None:
    """And is told what came without having to look for it."""
    here = visit()
    page = here.page
    here.choose(COFFEE)
    status = page.get_by_role("status")
    expect(status).to_have_text(re.compile(r"^espresso 95\.\d %, cup 1\.\d %, (\w| )+ 0\.\d %, "))
    expect(page.locator("body")).to_match_aria_snapshot(
        r"""
        - banner:
          - paragraph: topfive
          - navigation "Elsewhere":
            - link "The API"
        - main:
          - heading "What is in the photo?" [level=1]
          - region "Photo":
            - heading "Photo" [level=2]
            - img "The photo coffee.jpg"
            - paragraph: coffee.jpg · 600 × 400 · 72 kB
            - paragraph: The model sees what is inside the frame, at 224 × 224 pixels.
            - button "Choose photos"
            - button "Use the camera"
            - group "Or try one of these":
              - heading "Or try one of these" [level=3]
              - button "A cup of coffee"
              - button "A cat"
          - region "Five labels":
            - heading "Five labels" [level=2]
            - list:
              - listitem: /espresso 95\.\d %/
              - listitem: /cup 1\.\d %/
              - listitem: /.+ 0\.\d %/
              - listitem: /.+ 0\.\d %/
              - listitem: /.+ 0\.\d %/
            - heading "Where the time went" [level=2]
            - paragraph:
              - strong: /\d+(\.\d)? ms/
              - text: /in the service, \d+(\.\d)? ms seen from here/
            - term: decode
            - definition: /ms/
          - region "The same in code":
            - heading "The same in code" [level=2]
            - button "Copy"
            - tablist "The same in code":
              - tab "curl" [selected]
              - tab "Python"
              - tab "JavaScript"
              - tab "gRPC"
            - tabpanel "curl"
        """
    )


def test_nothing_is_asked_of_another_host_and_nothing_twice(visit: Open, service: ServingProcess) -> None:
    """Only the page's own files before there is a photo."""
    here = visit()
    expect(here.page.locator("#code")).to_contain_text("curl")
    asked = [url.removeprefix(here.origin) for url in here.requests]
    assert asked[0] == "/"
    assert all(path.startswith("/static/page/") for path in asked[1:])
    assert len(set(asked)) == len(asked)
