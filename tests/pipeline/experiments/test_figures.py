"""Figures have the same names in every record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.pipeline.commands.test_evaluating import FIRST, SECOND
from topfive_pipeline.experiments.figures import of_model, of_photos
from topfive_pipeline.judging.split import fingerprint, in_part
from topfive_pipeline.proof.photos import Photo


def test_the_first_model_has_times_and_no_ratios() -> None:
    found = of_model(FIRST)
    assert {"top_1", "top_5", "loss", "ms_alone", "ms_batch_8", "size_mb", "memory_mb", "load_s"} <= found.keys()
    assert (found["top_1"], found["size_mb"], found["ms_alone"]) == (0.9, 5.0, 10.0)
    assert not [name for name in found if name.startswith(("speed", "difference"))]


def test_another_model_has_its_difference_with_the_interval_and_its_ratios() -> None:
    found = of_model(SECOND)
    assert (found["difference"], found["difference_low"], found["difference_high"]) == (-0.01, -0.03, 0.01)
    assert (found["agreement"], found["speed_alone"], found["speed_batch_8"]) == (0.98, 2, 2.5)


def test_what_was_left_out_is_no_figure() -> None:
    found = of_model(replace(FIRST, paces=(), accuracy=replace(FIRST.accuracy, top_5=None)))
    assert not [name for name in found if name.startswith(("ms_", "top_5"))]


def test_photos_are_known_by_the_fingerprint_of_those_that_judged(tmp_path: Path) -> None:
    photos = [Photo(tmp_path / f"{number}.jpg", number) for number in range(20)]
    for photo in photos:
        photo.path.write_text(photo.name)
    calibrate, judge = in_part(photos, "calibrate"), in_part(photos, "judge")
    alone = {"data.sha256": fingerprint(judge), "data.photos": str(len(judge))}
    assert of_photos(judge) == alone
    assert of_photos(judge, given=photos) == alone | {
        "data.given.sha256": fingerprint(photos),
        "data.given.photos": "20",
        "data.calibrate.sha256": fingerprint(calibrate),
    }
