"""The table holds what was stored, in the order of recipes; what cannot be compared is a dash; the picture shows it."""

from pathlib import Path

import pytest
from PIL import Image

from tests.pipeline.conftest import needs_export

needs_export()

from recipes.kit import running  # noqa: E402  # imports torch, once it is known to be there
from recipes.kit.plots import plot  # noqa: E402
from recipes.kit.rows import markdown, rows_of, store, stored  # noqa: E402
from tests.recipes.example_rows import BEGAN, HALF  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402

pytestmark = pytest.mark.untraced


def judged(title: str, size: int, difference: object, paces: object) -> dict[str, object]:
    return {
        "title": title,
        "footprint": {"size_bytes": size},
        "accuracy": {"top_1": {"share": 0.75, "interval": {"low": 0.5, "high": 1.0}}},
        "difference": difference,
        "paces": paces,
    }


def test_rows_of_a_judgement() -> None:
    """Sizes and differences are of the first model; a case that was not timed is None."""
    difference = {
        "top_1": -0.25, "interval": {"low": -0.5, "high": 0.125}, "agreement": 0.5, "largest_change": 0.375,
        "loss": 0.0625, "loss_error": 0.03125,
    }  # fmt: skip
    paces = [{"case": "batch 8", "ratio": {"median": 2.0, "low": 1.5, "high": 3.0}}]
    models = [judged("whole:1", 800, None, paces), judged("half:1", 200, difference, paces)]
    began, half = rows_of("prune", {"models": models, "photos": 8}, {"half": "training"}, {"half": "a note"})
    assert (began.model, began.size, began.difference, began.batch_8, began.difficulty) == (
        "whole", 1, None, None, "a line",
    )  # fmt: skip
    assert (half.model, half.size, half.difficulty, half.note, half.photos) == ("half", 4, "training", "a note", 8)
    assert (half.top_1, half.difference, half.loss) == ((0.75, 0.5, 1), (-0.25, -0.5, 0.125), (0.0625, 0.03125))
    assert (half.agreement, half.change, half.alone, half.batch_8) == (0.5, 0.375, None, (2, 1.5, 3))


def test_the_table_of_what_is_stored(tmp_path: Path) -> None:
    store([BEGAN, HALF], tmp_path, "prune")
    store([BEGAN], tmp_path, "fold")
    found = stored(tmp_path, ["fold", "never_run", "prune"])
    assert markdown(found) == markdown([BEGAN, BEGAN, HALF])
    lines = markdown(found).splitlines()
    assert lines[3] == "| prune | whole | 90.0 [88.0, 91.5] | – | – | 1.00 | – | – | a line | 2.2 |  |"
    assert lines[4] == (
        "| prune | half | 89.0 [87.0, 91.0] | -1.00 [-2.00, +0.25] | +0.020 ± 0.004 | 3.50 | 1.50 [1.25, 1.75] "
        "| 2.00 [1.50, 2.50] | training | 2.2 | half of the channels |"
    )


def test_the_picture_has_a_line_for_each_model_that_is_compared(tmp_path: Path) -> None:
    """So two more make it higher; with none there is nothing to draw."""
    assert plot([BEGAN], tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()
    heights = []
    for number in (1, 3):
        file = plot([BEGAN, *[HALF] * number], tmp_path / "deep" / f"{number}.png")
        assert file is not None
        with Image.open(file) as picture:
            assert picture.format == "PNG"
            heights.append(picture.height)
    assert heights[0] < heights[1]


def test_the_table_is_printed_again_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no recipe was run into"):
        running.table(tmp_path, ["prune"])
    store([BEGAN, HALF], tmp_path / "rows", "prune")
    said = running.table(tmp_path, ["prune"])
    assert markdown([BEGAN, HALF]) in said
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == markdown([BEGAN, HALF])
    assert (tmp_path / "table.png").is_file()
