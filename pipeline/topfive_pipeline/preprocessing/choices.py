"""What is known of a preprocessing so far, field by field, and who said it: flags, a file, a preset, the network.

What lives here: the merging, and the list of what still must be said. What does not: the files and presets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Origin = Literal["said", "read", "found", "assumed"]
"""By a flag; from a file or a preset that was named; in the network; by a rule of ours that is printed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of one field of `Preprocessing`, its origin, and words for where that is: `preset torchvision`."""

    value: Any
    origin: Origin
    where: str


Choices = Mapping[str, Choice]
"""By the name of a field of `Preprocessing`."""
