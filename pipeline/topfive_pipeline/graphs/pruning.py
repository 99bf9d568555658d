"""Drops from a graph what its outputs do not need: the runtime would warn of it at every load."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from topfive_pipeline.graphs.nodes import graphs_in


def prune(graph: Any, outputs: Collection[str]) -> None:
    """Keep only the nodes and weights of `graph` that `outputs` are computed from."""
    needed = set(outputs)
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(_taken(node))
            kept.append(node)
    if len(kept) < len(graph.node):
        kept.reverse()
        del graph.node[:]
        graph.node.extend(kept)
    _keep_weights(graph, needed)


def prune_weights(graph: Any) -> None:
    """Keep all nodes of `graph`, and only the weights that they take."""
    taken = {value for node in graph.node for value in _taken(node)}
    _keep_weights(graph, taken | {output.name for output in graph.output})


def _keep_weights(graph: Any, needed: Collection[str]) -> None:
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    if len(weights) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(weights)
    sparse = [tensor for tensor in graph.sparse_initializer if tensor.values.name in needed]
    if len(sparse) < len(graph.sparse_initializer):
        del graph.sparse_initializer[:]
        graph.sparse_initializer.extend(sparse)


def _taken(node: Any) -> Iterator[str]:
    """The values that `node` takes, those that its subgraphs take from outside among them."""
    yield from node.input
    for entry in node.attribute:
        for subgraph in (*([entry.g] if entry.HasField("g") else []), *entry.graphs):
            for graph in graphs_in(subgraph):
                yield from (output.name for output in graph.output)
                for inner in graph.node:
                    yield from inner.input
