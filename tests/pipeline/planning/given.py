"""Costs that tests reckon with by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from topfive_pipeline.planning.costs import Costs, KindCosts

RAW: Final = KindCosts(name="raw", nbytes=150_528, in_slot=True)
JPEG: Final = KindCosts(name="jpeg", nbytes=40_000, decode_seconds=0.004, resize_seconds=0.002, price_seconds=0.006)


def costs(**changed: Any) -> Costs:
    """A server with one core and one slot, of 10 ms an image and nothing else, unless it is `changed`."""
    usual = Costs(
        model="m",
        engine="onnxruntime",
        cpu="a processor",
        cores=1,
        slots=1,
        kinds=(RAW,),
        batch_seconds={1: 0.01},
        batch_size_that_pays=1,
        graph_batch_size=16,
    )
    return replace(usual, **changed)
