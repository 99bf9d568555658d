"""What was measured is kept in a file that another machine reads, and a wrong file is refused with the field's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.planning.given import JPEG, RAW, costs
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.planning.costs import read, write


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    whole = costs(kinds=(RAW, JPEG), alone=(0.005, 0.006), spread=(1.0, 1.1), batch_seconds={1: 0.01, 2: 0.018})
    write(whole, tmp_path / "costs.json")
    assert read(tmp_path / "costs.json") == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slots": 0}, "slots: Input should be greater than or equal to 1"),
        ({"kinds": []}, "kinds: Tuple should have at least 1 item"),
        ({"extra": 1}, "extra: Unexpected"),
        ({"batch_size_that_pays": 8}, "no time for 8, the batch_size_that_pays"),
        ({"loop_seconds": "NaN"}, "loop_seconds: "),
    ],
)
def test_a_wrong_file_is_refused_by_its_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "costs.json"
    write(costs(), file)
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        read(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json: cannot be read"):
        read(tmp_path / "none.json")


def test_core_seconds_are_those_of_all_stages() -> None:
    """Half raw, half JPEG (6 ms more); batches of two for 18 ms; 1 ms of the event loop."""
    mixed = costs(kinds=(RAW, JPEG), batch_seconds={1: 0.01, 2: 0.018}, batch_size_that_pays=2, loop_seconds=0.001)
    assert mixed.core_seconds == pytest.approx(0.009 + 0.003 + 0.001)
    assert costs(on_device=True, loop_seconds=0.001).core_seconds == pytest.approx(0.001)


def test_what_computes_is_scaled_and_nothing_else() -> None:
    twice = costs(kinds=(JPEG,), alone=(0.004,), loop_seconds=0.001).scaled(2)
    assert (twice.batch_seconds, twice.alone, twice.loop_seconds) == ({1: 0.02}, (0.008,), 0.001)
    assert (twice.kinds[0].decode_seconds, twice.kinds[0].price_seconds) == (0.008, JPEG.price_seconds)
