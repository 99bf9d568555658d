"""The gate reads the same file of objectives as the load tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.under_load.objectives import read

COMMITTED = Path(__file__).parents[3] / "loadtests" / "slo.yaml"


def test_the_file_of_the_load_tests_is_read() -> None:
    found = read(COMMITTED)
    assert {one.mix for one in found.closed} == {"random", "complex"}
    assert found.memory is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("closed: [{mix: random, workers: 8, p99: 3}]", r"closed\[0\].p99: there is no such field"),
        ("closed: [", "cannot be read as YAML"),
        ("", "no objectives"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_flag(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"--slo .*mine\.yaml.*{told}"):
        read(path)
