"""What clients are told of each version of each model: an entry of the repository's index."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ModelState(enum.StrEnum):
    """The states of a version of a model, as the model repository extension names them."""

    READY = "READY"
    LOADING = "LOADING"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What is known of one version of a model; of one whose versions are not known, `version` is empty.

    A `reason` beside READY is why a newer state of the model is not what is served.
    """

    name: str
    version: str
    state: ModelState
    reason: str
