"""Takes docs/page.png anew: `python -m tests.testkit.page_screenshot`. Its fonts are those of this machine."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image
from playwright.sync_api import expect

from tests.testkit.browser import Visit, launched
from tests.testkit.serving_process import ROOT, serving

PICTURE: Final = ROOT / "docs" / "page.png"
_COLOURS: Final = 160
"""Few enough for a small file, enough for a photo."""


def main() -> None:
    """Write the page as it is once docs/coffee.jpg is classified."""
    with serving("--port", "8000", "--precision", "fp32") as service, launched() as browser:
        here = Visit(browser, service, viewport={"width": 1216, "height": 600}, reduced_motion="reduce")
        for _ in range(3):  # the first answers tell of a service that has just woken up
            here.choose(ROOT / "docs" / "coffee.jpg")
            expect(here.page.locator("#answer")).to_have_attribute("data-state", "answer")
        shot = Image.open(io.BytesIO(here.page.screenshot(full_page=True))).convert("RGB")
        here.finish()
    shot.quantize(_COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
