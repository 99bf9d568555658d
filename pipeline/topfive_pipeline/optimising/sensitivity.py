"""Which layers lose most by eight bits: each in turn is left in floating point, with the layers that it takes from.

A layer alone gains nearly nothing: what it takes is still rounded, for that is the output of a quantised layer, and on
photos this loses more than the rounding of weights does (EfficientNet-Lite0: the second layer alone gains 0.0 dB, with
the first 2.3). So the unit is a layer with its makers. All others stay quantised, which is the faster graph to run, and
it is what is decided later: what should be left out first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from topfive_pipeline.optimising.bench import Bench, Pictures, Scores
from topfive_pipeline.optimising.measuring import distance, scores_of
from topfive_pipeline.optimising.quantising import Recipe
from topfive_pipeline.optimising.source import LAYERS, Source


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """A layer, the `unit` that was in floating point, and by how many dB the scores' SQNR rose."""

    layer: str
    unit: frozenset[str]
    gain: float


def sensitivities(
    bench: Bench,
    recipe: Recipe,
    few: tuple[Pictures, Scores],
    *,
    may_go_on: Callable[[], bool],
) -> list[Sensitivity]:
    """The layers of the network, the most sensitive first.

    `few`: the pictures to find it on, and the source's scores of them. Only the layers that were reached while
    `may_go_on` was true.
    """
    source = bench.source
    pictures, reference = few

    def faithful(floats: frozenset[str]) -> float:
        model = bench.quantised(replace(recipe, floats=floats))
        return distance(scores_of(model, source.scores, pictures.crops), reference).sqnr

    units = units_of(source)
    base = faithful(frozenset())
    found = []
    for done, (layer, unit) in enumerate(units.items()):
        if not may_go_on():
            bench.warnings.append(f"the time was enough for the sensitivity of {done} of {len(units)} layers (--time)")
            break
        bench.progress(f"sensitivity of layers, {done + 1} of {len(units)}")
        found.append(Sensitivity(layer, unit, faithful(unit) - base))
    return sorted(found, key=lambda each: -each.gain)


def units_of(source: Source) -> Mapping[str, frozenset[str]]:
    """Each layer with those that make what it takes, whatever is between them."""
    makers: dict[str, frozenset[str]] = {}
    units = {}
    for node in source.model.graph.node:
        if node.name not in source.nodes:
            continue
        before = frozenset[str]().union(*(makers.get(name, frozenset()) for name in node.input))
        is_layer = node.op_type in LAYERS
        if is_layer:
            units[node.name] = before | {node.name}
        for name in node.output:
            makers[name] = frozenset({node.name}) if is_layer else before
    return units
