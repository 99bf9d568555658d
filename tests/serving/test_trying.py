"""The key of a shadow at a URL: read from its file, refused if it is none, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.tiny_models import write_tiny_repository
from topfive.app import create_serving
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError

KEY = "a-key-of-sixteen-characters"
URL = "tiny=http://127.0.0.1:9@1%"


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read"), ("", "must hold one key, on one line"), ("two\nlines", "must hold one key")],
)
async def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    write_tiny_repository(tmp_path / "models")
    file = tmp_path / "key"
    if text is not None:
        file.write_text(text)
    settings = Settings(model_repository=tmp_path / "models", shadow=URL, shadow_key_file=file)
    with pytest.raises(ConfigurationError, match=message):
        create_serving(settings, on_fatal=lambda: None)


async def test_a_key_is_in_no_description(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path / "models")
    (tmp_path / "key").write_text(f"{KEY}\n")
    settings = Settings(model_repository=tmp_path / "models", shadow=URL, shadow_key_file=tmp_path / "key")
    shadow = create_serving(settings, on_fatal=lambda: None).trials.shadow
    assert shadow is not None
    assert KEY not in f"{shadow.describe()} {settings}"
