"""A real browser: Debian's Chromium, headless, driven by Playwright, which downloads none.

What lives here: starting it, and a visit to the page that watches for what no visit may see. What is claimed of the
page is in `tests.end_to_end.test_page`.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from tests.testkit.serving_process import ServingProcess

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
OTHER_HOST: Final = "photos.test"
"""A name for this machine that the browser does not take for this machine: pages from it are no secure context."""
_WAIT_MILLISECONDS: Final = 60_000
"""For whatever is waited for; far above what anything takes, so that only a hang reaches it."""
_FLAGS: Final = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
    f"--host-resolver-rules=MAP {OTHER_HOST} 127.0.0.1",
)


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, whose camera is a test picture."""
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *as_root])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """The page of `service` in a profile of its own, and all that it did."""

    def __init__(self, browser: Browser, service: ServingProcess, *, host: str = "127.0.0.1", **options: Any) -> None:
        self.origin: Final = f"http://{host}:{service.port}"
        self._context = browser.new_context(**options)
        self._context.set_default_timeout(_WAIT_MILLISECONDS)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.may_be_refused: Final = {"/v1/classify"}
        self._context.add_init_script(_COUNT_OBJECT_URLS)
        self.page: Final[Page] = self._context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)
        # Listened for from the start: who begins just before the chooser opens may begin too late.
        self.page.on("filechooser", lambda chooser: None)
        self.page.goto(self.origin)

    def finish(self) -> None:
        """End it. Raises if it saw an error, a breach of the page's policy, or a request to another host."""
        self._context.close()
        elsewhere = [url for url in self.requests if not url.startswith((f"{self.origin}/", f"blob:{self.origin}/"))]
        assert (self.complaints, elsewhere) == ([], [])

    def allow(self, *permissions: str) -> None:
        """Give the page `permissions` that a person would be asked for."""
        self._context.grant_permissions(permissions, origin=self.origin)

    def choose(self, *files: Path) -> None:
        """Choose a file, as in the dialog."""
        for file in files:
            self.page.set_input_files("#file", file)

    def drag(self, file: Path, *, then: Literal["drop", "leave"] | None = None) -> None:
        """Drag a file from another program over the page, and then drop it there, or leave again."""
        box = self.page.locator("#frame").bounding_box()
        assert box is not None
        inside = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        steps = [("dragEnter", inside), ("dragOver", inside)]
        if then == "drop":
            steps = [("drop", inside)]
        elif then == "leave":
            steps = [("dragOver", (inside[0], 100_000.0))]
        session = self._context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for event, (x, y) in steps:
            session.send("Input.dispatchDragEvent", {"type": event, "x": x, "y": y, "data": data})

    def copy_image(self, png: bytes) -> None:
        """Put a picture on the clipboard."""
        self.allow("clipboard-read", "clipboard-write")
        self.page.evaluate(
            """async (png) => {
              const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
              const blob = new Blob([bytes], { type: "image/png" });
              await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
            }""",
            base64.b64encode(png).decode(),
        )

    def clipboard(self) -> str:
        """The text on the clipboard."""
        self.allow("clipboard-read", "clipboard-write")
        return cast(str, self.page.evaluate("navigator.clipboard.readText()"))

    def object_urls(self) -> int:
        """How many files the page holds on to."""
        return cast(int, self.page.evaluate("window.objectUrls"))

    def _on_console(self, message: ConsoleMessage) -> None:
        # What the service refuses is expected here and there; `_on_response` looks at the rest.
        refused = message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning"} and not refused:
            self.complaints.append(message.text)

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _on_response(self, response: Response) -> None:
        path = urlsplit(response.url).path
        if response.status >= 400 and path not in self.may_be_refused:
            self.complaints.append(f"{response.status} for {path}")


def contrasts(page: Page) -> dict[str, float]:
    """Contrast (WCAG 2) of each text that can be seen with what is behind it."""
    found: dict[str, float] = page.evaluate(
        """() => {
          const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
          const linear = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
          const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
          const behind = (node) => {
            const colour = channels(getComputedStyle(node).backgroundColor);
            return colour[3] === 0 ? behind(node.parentElement) : colour;
          };
          const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
          const nodes = [...document.body.querySelectorAll("*")].filter((node) => node.checkVisibility());
          return Object.fromEntries(nodes.filter(hasText).map((node) => {
            const pair = [light(channels(getComputedStyle(node).color)), light(behind(node))];
            return [node.textContent.trim(), (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
          }));
        }"""
    )
    return found


_COUNT_OBJECT_URLS: Final = """
  window.objectUrls = 0;
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (file) => { window.objectUrls += 1; return createObjectURL(file); };
  URL.revokeObjectURL = (url) => { window.objectUrls -= 1; revokeObjectURL(url); };
"""
