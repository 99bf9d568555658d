"""Distil a large network into a small one without labels: it learns all that the large one answers, not only the first.

The loss T^2 KL(softmax(teacher / T) || softmax(student / T)) is that of Hinton, Vinyals and Dean, arXiv:1503.02531.
That both must see the same view of a picture is of Beyer et al., arXiv:2106.05237.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

import torch
from torch import nn

from recipes.kit import base
from recipes.kit.networks import plain
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.teaching import softened
from recipes.kit.training import Augment, Progress, Schedule, accuracy, fit, logits_of, shifted
from topfive_pipeline.judging.intervals import difference_interval

WIDTH: Final = 8
"""Channels of the student's first layers; the teacher has three times as many."""
FEW: Final = 1000
"""Pictures whose labels one would have where labels are dear."""
_VIEWS: Final = 4
"""Of each picture, at most, so that the teacher answers only so often: its answers are kept."""
_BATCH: Final = 128

Lesson = tuple[torch.Tensor, torch.Tensor]
"""What the student is shown, FP32 [n, ...], and what the teacher answered to exactly that, logits FP32 [n, k]."""


def distilled(
    student: nn.Module,
    teacher: nn.Module,
    inputs: torch.Tensor,
    schedule: Schedule,
    say: Progress,
    *,
    temperature: float,
    augment: Augment | None = None,
) -> nn.Module:
    """Train `student` to answer as `teacher` to views of `inputs` FP32 [n, ...], as many steps as `schedule` says.

    No labels are used. `augment` makes the views, the same for both. Returns `student`, served as it is; the teacher
    stays as it was. Raises `ConfigurationError` unless `temperature` is above 0.
    """
    loss = softened(temperature)
    shown, answers = lesson(teacher, inputs, schedule, augment)
    fit(student, shown, answers, of_views(schedule, len(shown) // len(inputs)), say, loss=loss)
    return student.eval()


def lesson(teacher: nn.Module, inputs: torch.Tensor, schedule: Schedule, augment: Augment | None) -> Lesson:
    """Views of `inputs` by `augment`, and the teacher's logits of each; without `augment` the inputs are the views."""
    if augment is None:
        return inputs, logits_of(teacher, inputs)
    chance = torch.Generator().manual_seed(schedule.seed)
    number = max(views for views in range(1, _VIEWS + 1) if schedule.epochs % views == 0)
    shown = torch.cat([augment(some, chance) for _ in range(number) for some in inputs.split(_BATCH)])
    return shown, logits_of(teacher, shown)


def of_views(schedule: Schedule, views: int) -> Schedule:
    """The `schedule` with as many steps, where one epoch is of so many views of each picture."""
    return replace(schedule, epochs=schedule.epochs // views)


def against(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor) -> str:
    """How much more often the logits `second` name the class first than `first` do: points, paired, with 95 %."""
    right, better = (logits.argmax(1) == labels for logits in (first, second))
    lost, won, of = int((right & ~better).sum()), int((better & ~right).sum()), len(labels)
    interval = difference_interval(lost, won, of)
    return f"{100 * (won - lost) / of:+.2f} [{100 * interval.low:+.2f}, {100 * interval.high:+.2f}]"


def run(setting: Setting) -> list[Row]:
    """Train the same student by labels, by few labels, and by the teacher in three ways; serve and judge them all."""
    data, teacher = setting.data, base.trained(setting)
    inputs, labels = data.inputs(data.train), torch.from_numpy(data.train.labels)
    schedule = Schedule(epochs=setting.either(6, 2), seed=setting.seed)
    often = replace(schedule, epochs=schedule.epochs * max(1, len(inputs) // FEW))  # few pictures, as many steps
    moved, still = lesson(teacher, inputs, schedule, shifted), lesson(teacher, inputs, schedule, None)
    by_views = of_views(schedule, len(moved[0]) // len(inputs))
    ways = {
        "distil_labels": partial(fit, inputs=inputs, targets=labels, schedule=schedule, augment=shifted),
        "distil_few": partial(fit, inputs=inputs[:FEW], targets=labels[:FEW], schedule=often, augment=shifted),
        "distil_t1": partial(fit, inputs=moved[0], targets=moved[1], schedule=by_views, loss=softened(1)),
        "distil_t4": partial(fit, inputs=moved[0], targets=moved[1], schedule=by_views, loss=softened(4)),
        "distil_t4_still": partial(fit, inputs=still[0], targets=still[1], schedule=schedule, loss=softened(4)),
    }
    networks: dict[str, nn.Module] = {"distil_teacher": teacher}
    for name, train in ways.items():
        setting.say(name)
        torch.manual_seed(setting.seed)  # all students begin as the same
        networks[name] = plain(len(data.classes), width=WIDTH)
        train(networks[name], say=setting.say)
    notes = {}
    test, truth = data.inputs(data.test), torch.from_numpy(data.test.labels)
    by_labels = logits_of(networks["distil_labels"], test)
    for name, network in networks.items():
        notes[name] = f"dev {100 * accuracy(network, data, data.dev):.1f} %"
        if name in ways and name != "distil_labels":
            notes[name] += f"; against distil_labels {against(by_labels, logits_of(network, test), truth)}"
        to_onnx(network, inputs[:2], setting.out / "onnx" / f"{name}.onnx")
        publish(setting, setting.out / "onnx" / f"{name}.onnx", name)
    judgement = evaluate(setting, "distil", list(networks))
    return rows_of("distil", judgement, dict.fromkeys(ways, "training"), notes)
