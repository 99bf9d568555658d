"""Training as every recipe does it, and asking a network in the mode in which it is served."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from recipes.kit.data import Data, Pictures

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
Progress = Callable[[str], None]
_ASKED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how hard a network is trained.

    The rate rises to `rate` and falls to nothing (one cycle: Smith and Topin, arXiv:1708.07120). Weights of layers
    decay, biases and normalisations do not.
    """

    epochs: int
    rate: float = 0.1
    batch: int = 128
    decay: float = 5e-4
    optimiser: Literal["sgd", "adamw"] = "sgd"
    seed: int = 0


def fit(
    network: nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    schedule: Schedule,
    say: Progress,
    *,
    loss: Loss = functional.cross_entropy,
    augment: Augment | None = None,
) -> list[float]:
    """Train `network` on `inputs` FP32 [n, ...] and `targets` [n, ...]; return the mean loss of each epoch.

    `targets` are what `loss` takes: classes, or the logits of a teacher. Raises `ArithmeticError` when the loss is no
    number any more: the rate is too high. It leaves the network in the mode in which it was.
    """
    chance = torch.Generator().manual_seed(schedule.seed)
    steps = schedule.epochs * math.ceil(len(inputs) / schedule.batch)
    optimiser = optimiser_of(network, schedule)
    rising = 0.25 if steps != 4 else 0.3  # of exactly one step PyTorch makes a division by zero
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.rate, total_steps=steps, pct_start=rising)
    losses = []
    with mode(network, training=True):
        for epoch in range(schedule.epochs):
            total = 0.0
            for chosen in torch.randperm(len(inputs), generator=chance).split(schedule.batch):
                given = inputs[chosen] if augment is None else augment(inputs[chosen], chance)
                value = loss(network(given), targets[chosen])
                optimiser.zero_grad()
                value.backward()
                optimiser.step()
                cycle.step()
                total += value.item() * len(chosen)
            losses.append(total / len(inputs))
            if not math.isfinite(losses[-1]):
                raise ArithmeticError(
                    f"the loss is {losses[-1]} after epoch {epoch + 1}: the rate {schedule.rate} is too high"
                )
            say(f"epoch {epoch + 1} of {schedule.epochs}: loss {losses[-1]:.3f}")
    return losses


def optimiser_of(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """The optimiser of a `schedule`; only what has more than one dimension decays."""
    weights = [each for each in network.parameters() if each.requires_grad]
    groups = [
        {"params": [each for each in weights if each.dim() > 1], "weight_decay": schedule.decay},
        {"params": [each for each in weights if each.dim() <= 1], "weight_decay": 0.0},
    ]
    if schedule.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=schedule.rate)
    return torch.optim.SGD(groups, lr=schedule.rate, momentum=0.9, nesterov=True)


def logits_of(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What `network` answers to `inputs`, in the mode in which it is served: statistics of training, nothing random."""
    with mode(network, training=False), torch.inference_mode():
        return torch.cat([network(some) for some in inputs.split(_ASKED_AT_ONCE)]).clone()


def accuracy(network: nn.Module, data: Data, pictures: Pictures) -> float:
    """The share of `pictures` whose class `network` names first."""
    first = logits_of(network, data.inputs(pictures)).argmax(1).numpy()
    return float(np.mean(first == pictures.labels))


@contextmanager
def mode(network: nn.Module, *, training: bool) -> Iterator[None]:
    """`network` in this mode, and in the one that it had when that is over: module for module."""
    before = {module: module.training for module in network.modules()}
    network.train(training)
    try:
        yield
    finally:
        for module, was in before.items():
            module.training = was


def shifted(inputs: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Each of `inputs` [n, c, h, w] moved by at most two pixels, and half of them mirrored."""
    side = inputs.shape[-1]
    padded = functional.pad(inputs, (2, 2, 2, 2), mode="replicate")
    x, y = torch.randint(0, 5, (2,), generator=chance).tolist()
    moved = padded[..., y : y + side, x : x + side]
    mirrored = torch.rand(len(inputs), 1, 1, 1, generator=chance) < 0.5
    return torch.where(mirrored, moved.flip(-1), moved)
