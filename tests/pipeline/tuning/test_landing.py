"""A tuned configuration replaces exactly the one that it was made of, whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.tuning.landing import check_writable, put


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.pbtxt"
    path.write_text("max_batch_size: 16\n", encoding="utf-8")
    path.chmod(0o640)
    return path


def test_it_is_replaced_with_its_permissions(config: Path) -> None:
    put(config, "max_batch_size: 8  # é\n", instead_of="max_batch_size: 16\n")
    assert config.read_text(encoding="utf-8") == "max_batch_size: 8  # é\n"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert [path.name for path in config.parent.iterdir()] == ["config.pbtxt"]


def test_what_somebody_changed_meanwhile_is_left_alone(config: Path) -> None:
    with pytest.raises(ConfigurationError, match="was changed while its model was tuned"):
        put(config, "max_batch_size: 8\n", instead_of="max_batch_size: 4\n")
    assert config.read_text(encoding="utf-8") == "max_batch_size: 16\n"


def test_a_text_that_cannot_be_written_leaves_the_file_and_nothing_beside_it(config: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        put(config, "max_batch_size: 8 # \udc80\n", instead_of="max_batch_size: 16\n")
    assert config.read_text(encoding="utf-8") == "max_batch_size: 16\n"
    assert [path.name for path in config.parent.iterdir()] == ["config.pbtxt"]


def test_a_place_that_is_not_there_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing can be written there"):
        check_writable(tmp_path / "none" / "config.pbtxt")
