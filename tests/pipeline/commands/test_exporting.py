from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.commands.conftest import Run
from topfive_pipeline.commands import exporting


def test_it_says_which_packages_it_needs(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name in ("torch", "timm") else object())
    ran = run(exporting.main, "--repository", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "topfive export: it needs torch, timm: pip install 'topfive[export]'\n"
