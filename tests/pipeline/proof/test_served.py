"""The server that a proof starts is the one that users start, and why it does not start is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.testkit.tiny_models import write_tiny_repository
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.proof.served import serve


def test_a_repository_is_served_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of another service do not reach it; what it refuses is an error."""
    monkeypatch.setenv("TOPFIVE_MODEL_REPOSITORY", "elsewhere")
    monkeypatch.setenv("TOPFIVE_API_KEYS_FILE", "none")
    with serve(write_tiny_repository(tmp_path)) as served:
        answer = served.classify(np.full((5, 9, 3), 7, np.uint8), model="tiny")
        assert [each["label"] for each in answer][:2] == ["value 7", "value 8"]
        assert answer[0]["probability"] == 0.5
        with pytest.raises(ConfigurationError, match=r"the server answers 404 to an image of 5 x 9: .*none"):
            served.classify(np.zeros((5, 9, 3), np.uint8), model="none")


def test_why_a_repository_is_not_served_is_said_and_nothing_else(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path)
    config = tmp_path / "classify" / "config.pbtxt"
    config.write_text(config.read_text(encoding="utf-8").replace("2, 2, 3", "3, 3, 3"), encoding="utf-8")
    with (
        pytest.raises(
            ConfigurationError, match=r"^the server cannot serve \S+: the service has failed: .*for one size$"
        ),
        serve(tmp_path),
    ):
        pass


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder that can be read"), serve(tmp_path / "none"):
        pass
