"""Distil EfficientNet-Lite2 into Lite0 at 192 pixels, on photos without labels.

Lite0 was trained for 224 pixels, is faster at 192, and loses there. Fine-tuning at the new resolution may give it back
(Touvron et al., arXiv:1906.06423). What is right, a teacher says, which sees the same crops in its own resolution
(Hinton et al., arXiv:1503.02531; Beyer et al., arXiv:2106.05237).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from recipes.kit.photos import as_served, crops, flags, parts
from recipes.kit.publishing import evaluate, publish, save, to_onnx
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.teaching import AsServed, softened
from recipes.kit.training import Schedule, fit
from topfive_pipeline.judging.split import digest_of
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.reference_model.networks import NETWORKS, Trained

TEACHER: Final = NETWORKS["efficientnet_lite2"]
STUDENT: Final = NETWORKS["efficientnet_lite0"]
SIDE: Final = 192
"""Pixels of the student's input."""
RULES: Final = replace(STUDENT.rules, short_side=SIDE + 32, crop=(SIDE, SIDE))
"""How photos become the student's input when it is served."""
_CROPS: Final = 2
"""Of each photo; the teacher answers to each of them once."""
_AT_ONCE: Final = 16
_FROZEN: Final = ("_conv_stem", "_bn0", *(f"_blocks.{number}." for number in range(10)))
"""Of 16 blocks the first ten stay as they are: edges and textures hardly change, and they take most of the time."""


def normalised(levels: torch.Tensor, _chance: torch.Generator | None = None) -> torch.Tensor:
    """What both networks take, FP32 [n, 3, side, side], of grey levels UINT8 of that shape."""
    (mean,), (std,) = RULES.mean, RULES.std
    return ((levels.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def published(of: Trained) -> Callable[[torch.Tensor], torch.Tensor]:
    """What asks the published network `of`, as `answers` does; by ONNX Runtime, which is several times as fast here."""
    session = onnxruntime.InferenceSession(of.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])

    def ask(levels: torch.Tensor) -> torch.Tensor:
        given = (normalised(some).contiguous().numpy() for some in levels.split(_AT_ONCE))
        return torch.cat([torch.from_numpy(session.run(None, {"normalised": some})[0]) for some in given])

    return ask


def answers(network: nn.Module, levels: torch.Tensor) -> torch.Tensor:
    """The logits FP32 [n, 1000] that `network` answers to grey levels UINT8 [n, 3, side, side]."""
    network = network.to(memory_format=torch.channels_last)  # the faster one on CPUs
    with torch.inference_mode():
        return torch.cat([network(normalised(some)) for some in levels.split(_AT_ONCE)]).clone()


def sharpness(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """What `logits` are best divided by, so that they are as sure as they are right: Guo et al., arXiv:1706.04599."""
    tried = [step / 20 for step in range(6, 41)]
    return min(tried, key=lambda by: float(cross_entropy(logits / by, labels)))


def trained_on(inputs: torch.Tensor, wanted: torch.Tensor, setting: Setting) -> nn.Module:
    """Lite0, its last blocks trained to give the logits `wanted` FP32 [n, 1000] for `inputs` UINT8 [n, 3, 192, 192]."""
    student = STUDENT.module().to(memory_format=torch.channels_last)
    for name, weight in student.named_parameters():
        weight.requires_grad_(not name.startswith(_FROZEN))
    schedule = Schedule(epochs=1, rate=3e-4, batch=_AT_ONCE, decay=0, seed=setting.seed)
    fit(AsServed(student), inputs, wanted, schedule, setting.say, loss=softened(1), augment=normalised)
    return student


def served(setting: Setting, network: nn.Module, rules: Preprocessing, name: str, training: Sequence[Photo]) -> str:
    """Import `network` as `name`; its graph names the photos of `training`, which then never judge it."""
    file = setting.out / "onnx" / f"{name}.onnx"
    to_onnx(network, torch.zeros(2, 3, *rules.crop), file)
    if training:
        save(onnx.load(file), file, {"photos.train": " ".join(digest_of(photo.path)[:16] for photo in training)})
    return publish(setting, file, name, flags(rules))


def run(setting: Setting) -> list[Row]:
    """Train Lite0 at 192 pixels by Lite2, by Lite2 made surer, and by itself at 224; serve and judge all of them."""
    training, dev = parts(setting.photos)
    training, dev = training[: setting.either(1000, 4)], dev[: setting.either(1000, 4)]
    labels, inputs = torch.tensor([photo.label for photo in dev]), as_served(dev, RULES)
    *seen, shown = crops(training, _CROPS, (TEACHER.side, STUDENT.side, SIDE), setting.seed)
    setting.say(f"two teachers answer to {len(shown)} crops of {len(training)} photos")
    lite2, lite0 = TEACHER.module(), STUDENT.module()
    teachers = [published(of) for of in (TEACHER, STUDENT)]
    dev2, dev0 = (ask(as_served(dev, of.rules)) for ask, of in zip(teachers, (TEACHER, STUDENT), strict=True))
    by = sharpness(dev2, labels)
    on_crops = [ask(given) for ask, given in zip(teachers, seen, strict=True)]
    wanted = {
        "by_lite2": (on_crops[0], dev2),
        "by_sharper_lite2": (on_crops[0] / by, dev2 / by),
        "by_lite0": (on_crops[1], dev0),
    }
    before = answers(lite0, inputs)
    names = [served(setting, lite0, RULES, "distil_photos_192", ())]
    notes = {names[0]: said(before, labels)}
    for name, (of_crops, of_dev) in wanted.items():
        student = trained_on(shown, of_crops, setting)
        names.append(served(setting, student, RULES, f"distil_photos_{name}", training))
        after = answers(student, inputs)
        far = [float(softened(1)(logits, of_dev)) for logits in (before, after)]
        notes[names[-1]] = f"{said(after, labels)}; from its teacher {far[0]:.2f}, then {far[1]:.2f} nats" + (
            f"; the teacher's logits by {by}" if "sharper" in name else ""
        )
    for name, network, rules, logits in (("224", lite0, STUDENT.rules, dev0), ("lite2", lite2, TEACHER.rules, dev2)):
        names.append(served(setting, network, rules, f"distil_photos_{name}", ()))
        notes[names[-1]] = said(logits, labels)
    judgement = evaluate(setting, "distil_photos", names, setting.photos)
    return rows_of("distil_photos", judgement, {f"distil_photos_{name}": "training" for name in wanted}, notes)


def said(logits: torch.Tensor, labels: torch.Tensor) -> str:
    """How `logits` do on the photos that choose: -log p of the true class, and how sure they are of the first one."""
    sure = float(logits.softmax(1).amax(1).mean())
    return f"dev loss {cross_entropy(logits, labels):.3f}, sure by {100 * sure:.0f} %"
