"""What a rate takes, by arithmetic: cores, event loops, wires and GPUs, and which of them ends first. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from topfive_pipeline.planning.costs import Costs

FULL: Final = 0.7
"""The share of a resource that is planned to be used: beyond it, queues grow fast."""
CROP_BYTES: Final = 224 * 224 * 3
"""What goes to Triton of an image."""
WIRE_BITS: Final = 25e9
"""A second, of one network card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Of one resource: `each` images a second that one of it bears when full, and `count` for the whole rate."""

    what: str
    each: float
    count: int


def needs(costs: Costs, rate: float) -> list[Need]:
    """What `rate` images a second take, at `FULL` of each resource; ascending by what one of it bears."""
    kinds, whole = costs.kinds, sum(kind.share for kind in costs.kinds)
    prepared = sum(kind.share * (kind.decode_seconds + kind.resize_seconds) for kind in kinds) / whole
    size = max(costs.batch_seconds, key=lambda each: each / costs.batch_seconds[each])
    network = size / costs.batch_seconds[size]
    seconds = {
        "core that decodes and resizes": prepared,
        "event loop, one in each process": costs.loop_seconds,
        f"network card of {WIRE_BITS / 1e9:g} Gbit/s, for what clients send": costs.nbytes * 8 / WIRE_BITS,
    }
    found = {what: 1 / each for what, each in seconds.items() if each}
    if costs.on_device:
        found["GPU, with batches of " + str(size)] = network * costs.slots
        found[f"network card of {WIRE_BITS / 1e9:g} Gbit/s, for crops to Triton"] = WIRE_BITS / 8 / CROP_BYTES
    else:
        found[f"core that runs the network, with batches of {size}"] = network / costs.threads
    return [
        Need(what=what, each=each, count=math.ceil(rate / (FULL * each)))
        for what, each in sorted(found.items(), key=lambda item: item[1])
    ]
