"""The names of mixes and scenarios, which objectives, results and requests have in common."""

from __future__ import annotations

from typing import Final, Literal

Mix = Literal["random", "complex"]
"""`random`: photos of usual sizes. `complex`: the worst that is still legal."""
MIXES: Final[tuple[Mix, ...]] = ("random", "complex")
Scenario = Literal["raw", "jpeg", "oip", "grpc"]
"""How a request is sent."""
