"""Which channels of a network must go together, and taking them out: what is left is a really smaller network.

What one layer writes others read, and additions and depthwise convolutions tie it to channels of other layers. These
are the dependency groups of DepGraph (Fang et al., arXiv:2301.12900, section 3). They are found along the graph that
`torch.fx` traces: "has the same channels" is an equivalence of its values, and a class of it is a group (union-find).
"""

from __future__ import annotations

import operator
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

from recipes.kit.training import mode
from topfive.ground.errors import ConfigurationError

_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d)
_KEEPS_CHANNELS: Final = {  # and makes zeros of zeros, so that a dead channel stays dead
    *_NORMS, nn.ReLU, nn.ReLU6, nn.Identity, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten,
    functional.relu, torch.relu, functional.adaptive_avg_pool2d, torch.flatten, "flatten",
}  # fmt: skip
_ADDS: Final = {operator.add, operator.iadd, torch.add}


@dataclass(slots=True)
class Group:
    """`size` channels that several layers share: channel i of one of them goes when channel i of another does.

    `writers`: the convolutions (depthwise ones too) and Linear layers whose outputs they are. `norms`: the batch
    normalisations that they pass. `readers`: the layers whose inputs they are, each with the number of its inputs per
    channel, which is more than one behind a Flatten. `is_fixed`: channels of the network's input or answer, which stay.
    """

    size: int = 0
    writers: list[Any] = field(default_factory=list)
    norms: list[Any] = field(default_factory=list)
    readers: list[tuple[Any, int]] = field(default_factory=list)
    is_fixed: bool = False

    def keep(self, chosen: torch.Tensor) -> None:
        """Take all channels but the `chosen`, INT64 [k], out of every layer of the group."""
        for layer in self.writers:
            _cut(layer, ("weight", "bias"), chosen, axis=0)
            if isinstance(layer, nn.Linear):
                layer.out_features = len(chosen)
            else:
                layer.out_channels = len(chosen)
                if layer.groups > 1:
                    layer.in_channels = layer.groups = len(chosen)
        for norm in self.norms:
            _cut(norm, ("weight", "bias", "running_mean", "running_var"), chosen, axis=0)
            norm.num_features = len(chosen)
        for layer, each in self.readers:
            inputs = (chosen[:, None] * each + torch.arange(each)).flatten()
            _cut(layer, ("weight",), inputs, axis=1)
            setattr(layer, "in_features" if isinstance(layer, nn.Linear) else "in_channels", len(inputs))
        self.size = len(chosen)


def groups_of(network: nn.Module, example: torch.Tensor) -> list[Group]:
    """The groups of `network` that can be made smaller, in the order in which they are first written.

    `example`: an input FP32 [n, ...]. Raises `ConfigurationError` at what it cannot follow: a network that cannot be
    traced, a grouped convolution, a concatenation or another operation that it does not know, a layer used twice.
    """
    try:
        traced = fx.symbolic_trace(network)
    except (fx.proxy.TraceError, TypeError) as error:
        raise ConfigurationError(f"pruning follows what torch.fx can trace, and this it cannot: {error}") from error
    with mode(traced, training=False), torch.no_grad():
        ShapeProp(traced).propagate(example)
    same: dict[fx.Node, fx.Node] = {}
    groups: defaultdict[fx.Node, Group] = defaultdict(Group)
    for node in traced.graph.nodes:
        for before in _with_the_same_channels(node, traced):
            same[_root(before, same)] = _root(node, same)
    seen: set[nn.Module] = set()
    for node in traced.graph.nodes:
        group, layer = groups[_root(node, same)], _does(node, traced)
        group.is_fixed |= node.op in {"placeholder", "output"}
        if not isinstance(layer, (nn.Conv2d, nn.Linear, *_NORMS)):
            continue
        if layer in seen:
            raise ConfigurationError(
                f"{node.target} is used twice: pruning cannot tell its uses apart; give each its own"
            )
        seen.add(layer)
        if isinstance(layer, _NORMS):
            group.norms.append(layer)
            continue
        group.writers.append(layer)
        group.size = len(layer.weight)
        read = groups[_root(node.all_input_nodes[0], same)]
        if read is not group:  # depthwise: what it reads and what it writes are the same channels
            read.readers.append((layer, layer.weight.shape[1] // (read.size or 1)))
    return [group for group in groups.values() if group.writers and not group.is_fixed]


def _with_the_same_channels(node: fx.Node, traced: fx.GraphModule) -> list[fx.Node]:
    """The values before `node` that have its channels: none if it makes new ones. Raises at what it does not know."""
    does, before = _does(node, traced), list[fx.Node](node.all_input_nodes)
    shapes = [each.meta["tensor_meta"].shape for each in (*before, node) if "tensor_meta" in each.meta]
    if isinstance(does, nn.Conv2d) and does.groups > 1:
        if does.groups == does.in_channels == does.out_channels:
            return before
        raise ConfigurationError(f"{node.target} is a grouped convolution and not depthwise: pruning cannot follow it")
    if node.op == "placeholder" or isinstance(does, nn.Conv2d) or (isinstance(does, nn.Linear) and len(shapes[0]) == 2):
        return []
    is_addition = does in _ADDS and len(before) == 2 and shapes[0] == shapes[1]
    is_known = does in _KEEPS_CHANNELS or type(does) in _KEEPS_CHANNELS
    if node.op == "output" or is_addition or (is_known and all(len(shape) in {2, 4} for shape in shapes)):
        return before
    raise ConfigurationError(
        f"pruning cannot follow {node.name} ({does}): it knows convolutions, batch normalisation, ReLU, additions of "
        "equal shapes, pooling, Flatten, and Linear layers that take [n, features]"
    )


def _does(node: fx.Node, traced: fx.GraphModule) -> Any:
    """What `node` does: its module, its function or the name of its method."""
    return traced.get_submodule(node.target) if node.op == "call_module" else node.target


def _root(node: fx.Node, same: dict[fx.Node, fx.Node]) -> fx.Node:
    """The value that stands for all that have the channels of `node`."""
    while node in same and same[node] is not node:
        node = same[node]
    return node


def _cut(layer: Any, names: tuple[str, ...], chosen: torch.Tensor, *, axis: int) -> None:
    """Keep only the `chosen` along `axis` of those tensors of `layer` that are there."""
    for name in names:
        value = getattr(layer, name)
        if value is not None:
            kept = value.detach().index_select(axis, chosen).clone()
            setattr(layer, name, nn.Parameter(kept, value.requires_grad) if isinstance(value, nn.Parameter) else kept)
