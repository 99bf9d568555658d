"""Renames the values of a graph, so that it can be joined with others, and drops what exporters leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from topfive_pipeline.graphs.nodes import graphs_in, nodes_in


def prefixed(model: Any, prefix: str) -> Any:
    """A copy of `model` whose values' and nodes' names begin with `prefix`, without what exporters leave behind.

    That are descriptions with paths and stack traces, the declared shapes of inner values, and outputs. (The function
    `onnx.compose.add_prefix` leaves the values alone that subgraphs take from outside.)
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    names = {name: prefix + name for graph in graphs_in(copy.graph) for name in _names(graph)}
    for graph in graphs_in(copy.graph):
        for node in graph.node:
            node.name = prefix + node.name if node.name else ""
    rename(copy.graph, names)
    for node in nodes_in(copy):
        node.doc_string = ""
        del node.metadata_props[:]
    for graph in graphs_in(copy.graph):
        graph.doc_string = ""
        del graph.value_info[:], graph.metadata_props[:], graph.quantization_annotation[:]
        for described in (*graph.initializer, *graph.input, *graph.output):
            described.doc_string = ""
            del described.metadata_props[:]
    for function in copy.functions:
        function.doc_string = ""
        del function.value_info[:], function.metadata_props[:]
    return copy


def _names(graph: Any) -> list[str]:
    """The names of all values that `graph` itself brings, without those of its subgraphs."""
    computed = [output for node in graph.node for output in node.output if output]
    sparse = [tensor.values.name for tensor in graph.sparse_initializer]
    return [*computed, *sparse, *(described.name for described in (*graph.initializer, *graph.input))]


def rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give values their new `names`, in subgraphs too: a name means the same value there, or none."""
    for each in graphs_in(graph):
        for node in each.node:
            for values in (node.input, node.output):
                for place, value in enumerate(values):
                    values[place] = names.get(value, value)
        for described in (*each.initializer, *each.input, *each.output):
            described.name = names.get(described.name, described.name)
        for tensor in each.sparse_initializer:
            tensor.values.name = names.get(tensor.values.name, tensor.values.name)
