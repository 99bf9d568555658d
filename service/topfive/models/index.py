"""The index of the repository, as clients get it: one value for each version of each model."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ModelState(enum.StrEnum):
    """States of a version of a model, named as in the model repository extension."""

    READY = "READY"
    LOADING = "LOADING"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What is known of one version of a model; `version` is empty if the model's versions are not known.

    A `reason` beside READY says why the model is not served as it is in the repository now.
    """

    name: str
    version: str
    state: ModelState
    reason: str
