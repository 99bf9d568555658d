"""Hatchling's build hook: it puts the reference model into the wheel, so that `pip install topfive` can serve it.

An editable installation finds the model in the checkout, and gets no copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ReferenceModel(BuildHookInterface[Any]):
    """Puts `model_repository/` into the package; see `topfive.config.settings.reference_repository`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; `version` is "standard" or "editable"."""
        if version == "standard":
            source = Path(self.root, "model_repository")
            build_data["force_include"][str(source)] = "topfive/model_repository"
