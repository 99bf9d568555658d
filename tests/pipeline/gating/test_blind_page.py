"""The judge's page in a real browser: by keyboard, by mouse and on a phone, blind until the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.pipeline.gating.sides import differing
from tests.testkit.browser import CHROMIUM, launched
from topfive_pipeline.gating.blind import Session
from topfive_pipeline.gating.blind_server import BlindServer
from topfive_pipeline.gating.judgements import opened, read

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"), pytest.mark.untraced]

PHOTOS: Final = 4
_WAIT_MILLISECONDS: Final = 60_000
"""Far above what anything takes, so that only a hang reaches it."""
PHONE: Final = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return tmp_path / "judged.jsonl"


@pytest.fixture
def session(tmp_path: Path, stored: Path) -> Iterator[Session]:
    with opened(stored) as store:
        yield Session(differing(tmp_path, PHOTOS), store, judge="ada")


@pytest.fixture
def server(session: Session) -> Iterator[BlindServer]:
    with BlindServer(session) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def visit(browser: Browser, server: BlindServer) -> Iterator[Open]:
    """A function that opens the page; at the end no visit may have seen an error or asked anybody else."""
    complaints: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def go(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(_WAIT_MILLISECONDS)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
        page.on(
            "request", lambda request: None if request.url.startswith(server.url) else complaints.append(request.url)
        )
        page.goto(server.url)
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def stands_at(page: Page, state: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-state", state, timeout=_WAIT_MILLISECONDS)


def test_a_run_by_keyboard(visit: Open, session: Session, stored: Path) -> None:
    page = visit()
    stands_at(page, "photo 0")
    expect(page.get_by_role("img")).to_have_attribute("alt", "Photo 1 of 4")
    assert page.evaluate("document.querySelector('#photo').naturalWidth") == 48
    expect(page.get_by_role("status")).to_contain_text("Photo 1 of 4. A: label")
    told = page.content()
    assert not any(word in told for word in ("photo-", ">candidate<", "live:"))
    for number, key in enumerate(("ArrowLeft", "ArrowUp", "ArrowDown")):
        page.keyboard.press(key)
        stands_at(page, f"photo {number + 1}")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "3")
    page.keyboard.press("u")
    stands_at(page, "photo 2")
    page.keyboard.press("Control+ArrowLeft")  # the browser's own
    page.reload()
    stands_at(page, "photo 2")
    page.keyboard.press("ArrowRight")
    stands_at(page, "photo 3")
    page.keyboard.press("ArrowRight")
    stands_at(page, "end")
    assert "decided" not in page.inner_text("main")
    page.keyboard.press("Enter")  # the button has the focus
    stands_at(page, "result")
    verdicts = [each.verdict for each in read(stored)]
    assert verdicts[1] == "neither"
    assert [row.split("\t")[3] for row in page.locator("tbody tr").all_inner_texts()] == [
        {"neither": "both wrong"}.get(verdict, verdict) for verdict in verdicts
    ]
    won = verdicts.count("candidate")
    expect(page.get_by_role("heading", level=2)).to_contain_text(f"The candidate wins {won} of 3 decided photos")
    page.keyboard.press("u")  # too late
    assert session.done == PHOTOS
    page.reload()
    stands_at(page, "result")


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, PHONE], ids=["dark", "phone"])
def test_a_run_by_hand(visit: Open, session: Session, options: dict[str, Any]) -> None:
    page = visit(**options)
    stands_at(page, "photo 0")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in page.locator("#choices button").all():
        expect(button).to_be_in_viewport(ratio=1)
    for place, name in enumerate(("A is better", "B is better", "Both wrong"), start=1):
        page.get_by_role("button", name=name).click()
        stands_at(page, f"photo {place}")  # nothing can be chosen before the photo is there
    page.get_by_role("button", name="Undo the last").click()
    stands_at(page, "photo 2")
    for state in ("photo 3", "end"):
        page.get_by_role("button", name="Equally good").click()
        stands_at(page, state)
    page.get_by_role("button", name="Show the result").click()
    stands_at(page, "result")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert session.done == PHOTOS
    if options.get("color_scheme") == "dark":
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 24)"


def test_a_key_that_is_held_judges_one_photo(visit: Open, session: Session) -> None:
    page = visit()
    stands_at(page, "photo 0")
    for _ in range(4):
        page.keyboard.down("ArrowLeft")
    stands_at(page, "photo 1")
    page.keyboard.up("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    stands_at(page, "photo 2")
    assert session.done == 2
