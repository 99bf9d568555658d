"""Which learning rate to take: one short run in which it grows, and what the loss does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

from recipes.kit.data import Data
from recipes.kit.training import Schedule, mode, optimiser_of
from topfive_pipeline.judging.plots import COLOURS, INK, STYLE

_FROM, _TO, _STEPS, _BATCH = 1e-4, 10.0, 80, 128
_SMOOTHING: Final = 0.9
_BURST: Final = 4.0
"""The test ends where the loss is so many times its least: from there on nothing is learnt."""


def range_test(network: nn.Module, data: Data, file: Path) -> float:
    """The rate at which the loss of `network` falls fastest while the rate grows from 1e-4 to 10; drawn into `file`.

    After Smith, arXiv:1506.01186, section 3.3, with the smoothed loss of each batch instead of the accuracy. It trains
    the network, which is of no use afterwards.
    """
    inputs, labels = data.inputs(data.train), torch.from_numpy(data.train.labels)
    optimiser = optimiser_of(network, Schedule(epochs=1, rate=_FROM))
    chance = torch.Generator().manual_seed(0)
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    with mode(network, training=True):
        for step, rate in enumerate(np.geomspace(_FROM, _TO, _STEPS).tolist()):
            for group in optimiser.param_groups:
                group["lr"] = rate
            chosen = torch.randint(0, len(inputs), (_BATCH,), generator=chance)
            loss = functional.cross_entropy(network(inputs[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            average = _SMOOTHING * average + (1 - _SMOOTHING) * loss.item()
            smooth = average / (1 - _SMOOTHING ** (step + 1))
            if not math.isfinite(smooth) or smooth > _BURST * min(losses, default=math.inf):
                break
            rates.append(rate)
            losses.append(smooth)
    steepest = int(np.argmin(np.gradient(losses, np.log(rates))))
    _draw(rates, losses, steepest, file)
    return float(rates[steepest])


def _draw(rates: list[float], losses: list[float], steepest: int, file: Path) -> None:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 2.8), layout="constrained", facecolor="white")
        axes = figure.subplots()
        axes.plot(rates, losses, color=COLOURS[1])
        axes.plot(rates[steepest], losses[steepest], "o", color=COLOURS[2])
        axes.annotate(f"falls fastest at {rates[steepest]:.2g}", (rates[steepest], losses[steepest]), (8, 4),
                      textcoords="offset points", color=INK)  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss, nats")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=110)
