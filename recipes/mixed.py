"""Which of the recipes add up: fewer channels, a teacher and eight bits, alone and together, on one network.

If two gains were independent, their ratios would multiply. Each row says what the product would be, beside what was
found. Order, as in Han et al., arXiv:1510.00149, and Polino et al., arXiv:1802.05668: prune, train what is left with
the large network as its teacher, quantise last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import torch
from torch import nn

from recipes.distil import distilled
from recipes.kit import base
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.quantise import post_training
from recipes.kit.rows import Difficulty, Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.training import Schedule, fit, shifted
from recipes.prune import pruned


@dataclass(frozen=True, slots=True)
class Mix:
    """One combination: the share of channels that is kept, whether the large network teaches, whether in 8 bits."""

    keep: float = 1.0
    is_taught: bool = False
    is_int8: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The recipes in it, in the order in which they are done."""
        said = {f"pruned{round(100 * self.keep)}": self.keep < 1, "taught": self.is_taught, "int8": self.is_int8}
        return tuple(word for word, is_there in said.items() if is_there)

    @property
    def name(self) -> str:
        """What it is served as."""
        return "_".join(("mixed", *(self.parts or ("plain",))))

    @property
    def difficulty(self) -> Difficulty:
        """Quantising is a flag of `topfive optimise`; all else trains."""
        return "training" if self.keep < 1 or self.is_taught else "a line"


MIXES = (
    Mix(),
    Mix(is_int8=True),
    Mix(is_taught=True),
    Mix(keep=0.5),
    Mix(keep=0.5, is_int8=True),
    Mix(keep=0.5, is_taught=True),
    Mix(keep=0.5, is_taught=True, is_int8=True),
    Mix(keep=0.25, is_taught=True, is_int8=True),
)
TEMPERATURE = 4.0


def trained(mix: Mix, network: nn.Module, setting: Setting) -> nn.Module:
    """`network` with the channels that `mix` keeps, trained on by labels or by `network` itself; as it is for neither.

    By a teacher of its own kind a network of the same size learns too: Furlanello et al., arXiv:1805.04770.
    """
    if mix.keep == 1 and not mix.is_taught:
        return network
    inputs, labels = setting.data.inputs(setting.data.train), torch.from_numpy(setting.data.train.labels)
    schedule = Schedule(epochs=setting.either(3, 1), rate=0.02, seed=setting.seed)
    smaller = pruned(network, inputs[:2], mix.keep)
    if mix.is_taught:
        return distilled(smaller, network, inputs, schedule, setting.say, temperature=TEMPERATURE, augment=shifted)
    fit(smaller, inputs, labels, schedule, setting.say, augment=shifted)
    return smaller


def product(row: Row, mix: Mix, alone: dict[str, Row]) -> str:
    """What the gains of the parts of `mix` would be together if they multiplied, to be held against those of `row`."""
    parts = [alone[part] for part in mix.parts if part in alone]
    if len(mix.parts) < 2 or len(parts) < len(mix.parts):  # one part alone is no combination
        return row.note
    speeds = [part.batch_8[0] for part in parts if part.batch_8 is not None]
    return f"multiplied: size {prod(part.size for part in parts):.1f}, batch 8 {prod(speeds):.1f}"


def run(setting: Setting) -> list[Row]:
    """Train, quantise and serve every combination, and judge all of them beside the network that they began with."""
    network = base.trained(setting)
    inputs = setting.data.inputs(setting.data.train)
    folder = setting.out / "onnx"
    floats: dict[tuple[float, bool], nn.Module] = {}
    names = []
    for mix in MIXES:
        setting.say(f"{mix.name}")
        key = (mix.keep, mix.is_taught)
        if key not in floats:
            floats[key] = trained(mix, network, setting)
        file = to_onnx(floats[key], inputs[:2], folder / f"{mix.name}.onnx")
        if mix.is_int8:
            file = post_training(file, inputs[:512].numpy(), folder / f"{mix.name}.int8.onnx")
        names.append(publish(setting, file, mix.name))
    rows = rows_of("mixed", evaluate(setting, "mixed", names), {mix.name: mix.difficulty for mix in MIXES})
    alone = {mix.parts[0]: row for mix, row in zip(MIXES, rows, strict=True) if len(mix.parts) == 1}
    return [replace(row, note=product(row, mix, alone)) for mix, row in zip(MIXES, rows, strict=True)]
