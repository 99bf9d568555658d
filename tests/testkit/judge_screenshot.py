"""Takes docs/judge.png anew: `python -m tests.testkit.judge_screenshot`. Its fonts are those of that machine.

Live is the reference model; the candidate is the same, which sees the photos at a twelfth of their size.
"""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final

import numpy as np
from PIL import Image

from tests.testkit.browser import launched
from tests.testkit.serving_process import ROOT
from topfive_pipeline.gating.answers import Answer, PhotoAnswers, Prediction
from topfive_pipeline.gating.blind import Session
from topfive_pipeline.gating.blind_server import BlindServer
from topfive_pipeline.gating.differing import find
from topfive_pipeline.gating.judgements import opened
from topfive_pipeline.proof.photos import shipped
from topfive_pipeline.proof.served import Served, serve

PICTURE: Final = ROOT / "docs" / "judge.png"
_COLOURS: Final = 160
"""Few enough for a small file, enough for a photo."""
_MODEL: Final = "efficientnet_lite0"


def main() -> None:
    """Write the page as it is at the first photo on which the two differ."""
    with TemporaryDirectory() as folder, serve(ROOT / "model_repository") as served:
        photos = tuple(shipped())
        live = tuple(_asked(served, photo.image()) for photo in photos)
        candidate = tuple(_asked(served, _small(photo.image())) for photo in photos)
        with opened(Path(folder, "judged.jsonl")) as store:
            session = Session(find(PhotoAnswers(photos, candidate, live)), store, judge="ada")
            with BlindServer(session) as server, launched() as browser:
                Thread(target=server.serve_forever, daemon=True).start()
                page = browser.new_page(viewport={"width": 1000, "height": 860})
                page.goto(server.url)
                page.wait_for_selector("body[data-state='photo 0']")
                shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                server.shutdown()
    shot.quantize(_COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(PICTURE, optimize=True)


def _small(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 12, image.height // 12))


def _asked(served: Served, image: Image.Image) -> Answer:
    found: list[dict[str, Any]] = served.classify(np.asarray(image), model=_MODEL)
    return Answer(200, tuple(Prediction(each["label"], each["index"], each["probability"]) for each in found))


if __name__ == "__main__":
    main()
