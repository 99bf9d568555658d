"""What to do before a figure of a training is believed: six checks on one network, each with what it found here.

1. The loss of an untrained network is log K for K classes. 2. One batch can be learnt by heart. 3. The learning rate
comes from a range test (Smith, arXiv:1506.01186). 4. Seeds say how much is chance. 5. Bias, variance and mismatch are
read from four parts (Ng, Machine Learning Yearning, chapters 40 and 41); then one thing is changed, and they are read
again. 6. Batch normalisation is asked in the mode in which it is served. The first two: Karpathy, A Recipe for Training
Neural Networks (2019).
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from recipes.kit import base
from recipes.kit.data import Data, Pictures
from recipes.kit.networks import plain
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.range_test import range_test
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.training import Augment, Schedule, accuracy, fit, logits_of, mode, shifted

START, HEART = 0.15, 0.01
"""How far from log K the first loss may be, by itself; and what the loss of one batch must come down to, in nats."""


def loss_at_start(network: nn.Module, data: Data) -> float:
    """The loss of the untrained `network`, in nats; raises `ArithmeticError` if it is not about log K.

    Then the last layer is not initialised near 0, the inputs are not normalised, or the loss is not what it seems.
    """
    some = data.train.first(512)
    with mode(network, training=True), torch.no_grad():
        found = float(functional.cross_entropy(network(data.inputs(some)), torch.from_numpy(some.labels)))
    expected = math.log(len(data.classes))
    if abs(found - expected) > START * expected:
        raise ArithmeticError(f"the untrained network has the loss {found:.2f}; log K is {expected:.2f}")
    return found


def by_heart(network: nn.Module, data: Data, *, steps: int = 200) -> float:
    """The loss of one batch of 32 after so many `steps` on it alone; raises `ArithmeticError` if it does not vanish.

    Then gradients do not reach all weights, labels and pictures do not belong together, or something is shuffled.
    """
    some = data.train.first(32)
    schedule = Schedule(epochs=steps, rate=0.05, batch=32, decay=0)
    found = fit(network, data.inputs(some), torch.from_numpy(some.labels), schedule, lambda _: None)[-1]
    if found > HEART:
        raise ArithmeticError(f"after {steps} steps on one batch its loss is {found:.3f}, and not below {HEART}")
    return found


def dimmer(pictures: Pictures, *, seed: int) -> Pictures:
    """`pictures` as a worse camera takes them: at 40 to 80 % of the light, with noise; UINT8 as before."""
    chance = np.random.default_rng(seed)
    light = chance.uniform(0.4, 0.8, (len(pictures), 1, 1))
    noisy = pictures.pixels * light + chance.normal(0, 12, pictures.pixels.shape)
    return Pictures(np.clip(np.round(noisy), 0, 255).astype(np.uint8), pictures.labels)


def dimmed(inputs: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """The same as a change of normalised `inputs` in training, where black is the least value of each picture."""
    moved = shifted(inputs, chance)
    black = moved.amin(dim=(1, 2, 3), keepdim=True)
    light = torch.empty(len(moved), 1, 1, 1).uniform_(0.4, 1, generator=chance)
    return black + (moved - black) * light + torch.randn(moved.shape, generator=chance) * 0.1


def four_parts(network: nn.Module, data: Data, held_out: Pictures) -> dict[str, float]:
    """The errors of `network` on what trained it, on more of the same, and on what the product will see."""
    asked = {"train": data.train, "train-dev": held_out, "dev": data.dev, "test": data.test}
    return {part: 1 - accuracy(network, data, pictures) for part, pictures in asked.items()}


def reading(errors: dict[str, float]) -> str:
    """What is the largest of bias (no error can be avoided, so 0 is the aim), variance and mismatch."""
    gaps = {
        "bias": errors["train"],
        "variance": errors["train-dev"] - errors["train"],
        "mismatch": errors["dev"] - errors["train-dev"],
    }
    said = ", ".join(f"{name} {100 * gap:.1f}" for name, gap in gaps.items())
    return f"{said} points; {max(gaps, key=lambda name: gaps[name])} is the largest"


def in_wrong_mode(network: nn.Module, data: Data) -> float:
    """How many answers change, as a share, if `eval()` is forgotten: then they depend on the rest of the batch."""
    network = copy.deepcopy(network)  # in the wrong mode its statistics would move
    inputs = data.inputs(data.dev.first(512))
    right = logits_of(network, inputs).argmax(1)
    with mode(network, training=True), torch.no_grad():
        wrong = torch.cat([network(some) for some in inputs.split(8)]).argmax(1)
    return float((right != wrong).float().mean())


def trained(data: Data, schedule: Schedule, setting: Setting, augment: Augment = shifted) -> nn.Sequential:
    """A new network from `schedule.seed`, trained on the training part."""
    torch.manual_seed(schedule.seed)
    network = plain(len(data.classes), width=12)
    labels = torch.from_numpy(data.train.labels)
    fit(network, data.inputs(data.train), labels, schedule, setting.say, augment=augment)
    return network.eval()


def run(setting: Setting) -> list[Row]:
    """Do the six checks in turn, say what each found, and serve the network that the other recipes start from."""
    data, say = setting.data, setting.say
    classes = len(data.classes)
    say(f"1. loss at the start {loss_at_start(plain(classes), data):.3f}; log K {math.log(classes):.3f}")
    say(f"2. loss of one batch by heart {by_heart(plain(classes, width=12), data):.4f}")
    rate = range_test(plain(classes, width=12), data, setting.out / "reports" / "hygiene" / "rates.png")
    say(f"3. the loss falls fastest at a rate of {rate:.2g}; a cycle may rise to about that")
    schedule = Schedule(epochs=setting.either(3, 1), rate=min(rate, 0.2))
    shares = [accuracy(trained(data, replace(schedule, seed=seed), setting), data, data.dev) for seed in range(3)]
    say(f"4. dev accuracy of three seeds {', '.join(f'{100 * share:.1f}' for share in shares)} %")
    # Half of the training part is enough to show it, and leaves a part that the network never sees.
    half = len(data.train) // 2
    held_out = Pictures(data.train.pixels[half:], data.train.labels[half:])
    worse = replace(data, train=data.train.first(half), dev=dimmer(data.dev, seed=1), test=dimmer(data.test, seed=2))
    for change, augment in (("as before", shifted), ("dimmed in training", dimmed)):
        errors = four_parts(trained(worse, schedule, setting, augment), worse, held_out)
        said = ", ".join(f"{part} {100 * error:.1f} %" for part, error in errors.items())
        say(f"5. {change}: errors {said}: {reading(errors)}")
    network = base.trained(setting)
    say(f"6. without eval() {100 * in_wrong_mode(network, data):.1f} % of the answers change, in batches of 8")
    file = to_onnx(network, data.inputs(data.dev)[:2], setting.out / "onnx" / "hygiene_base.onnx")
    return rows_of(
        "hygiene", evaluate(setting, "hygiene", [publish(setting, file, "hygiene_base")]), {"hygiene_base": "training"}
    )
