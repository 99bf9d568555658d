"""Quantisation-aware training of EfficientNet-Lite0 on photos without labels: one step for a whole weight, and no loss.

Rounded with one step for each whole weight, Lite0 loses points: its depthwise convolutions have channels of very
different sizes. What the network answers in floating point is the target, so no labels are needed; the method is that
of `recipes.qat`, on the published weights.
"""

from __future__ import annotations

from typing import Final

import onnx
import torch
from torch import nn

from recipes.kit.fake_quantise import Aware
from recipes.kit.onnx_network import OnnxNetwork
from recipes.kit.photos import as_served, crops, flags, parts
from recipes.kit.publishing import evaluate, publish, save
from recipes.kit.qdq import to_qdq
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.teaching import softened
from recipes.kit.training import Schedule, fit, logits_of, mode
from topfive_pipeline.judging.split import digest_of
from topfive_pipeline.reference_model.networks import NETWORKS

LITE0: Final = NETWORKS["efficientnet_lite0"]
_CROPS: Final = 2
"""Of each photo; each is seen once. The steps of weights differ much in size, so each has a rate of its own (Adam)."""
_BATCH: Final = 16


def normalised(levels: torch.Tensor) -> torch.Tensor:
    """What the network takes, FP32 [n, 3, 224, 224], of grey levels UINT8 of that shape."""
    (mean,), (std,) = LITE0.rules.mean, LITE0.rules.std
    return (levels.float() - mean) / std


def rounded(graph: onnx.ModelProto, inputs: torch.Tensor, *, per_channel: bool) -> Aware:
    """Lite0 with fake quantisation, its ranges found on `inputs` FP32 [n, 3, 224, 224]."""
    network = Aware(OnnxNetwork(graph), per_channel=per_channel)
    with mode(network, training=True), torch.no_grad():
        for some in inputs.split(_BATCH):
            network(some)
    network.eval()
    return network


def answers(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """The logits FP32 [n, 1000] of `network`, few at a time: at 224 pixels its values take megabytes of each."""
    return torch.cat([logits_of(network, some) for some in inputs.split(_BATCH)])


def off(network: nn.Module, inputs: torch.Tensor, wanted: torch.Tensor) -> str:
    """How far the answers of `network` are from the logits that are `wanted`: mean KL in nats."""
    return f"{float(softened(1)(answers(network, inputs), wanted)):.3f} nats from floating point on dev"


def run(setting: Setting) -> list[Row]:
    """Round Lite0 per channel and per tensor, train the latter on its own answers, and serve and judge all of them."""
    training, dev = (photos[: setting.either(1000, 4)] for photos in parts(setting.photos))
    graph = LITE0.to_onnx()
    folder, said = setting.out / "onnx", flags(LITE0.rules)
    made_by = {"photos.train": " ".join(digest_of(photo.path)[:16] for photo in training)}
    whole = OnnxNetwork(graph).eval()
    asked = normalised(as_served(dev, LITE0.rules))
    (shown,) = crops(training, _CROPS, (LITE0.side,), setting.seed)
    inputs = normalised(shown)
    setting.say(f"floating point answers to {len(inputs)} crops of {len(training)} photos")
    wanted, wanted_dev = answers(whole, inputs), answers(whole, asked)
    calibrating = inputs[::_CROPS]
    networks = {
        "qat_photos_ptq_channel": rounded(graph, calibrating, per_channel=True),
        "qat_photos_ptq_tensor": rounded(graph, calibrating, per_channel=False),
        "qat_photos_trained_tensor": rounded(graph, calibrating, per_channel=False),
    }
    trained = networks["qat_photos_trained_tensor"]
    schedule = Schedule(epochs=1, rate=1e-4, batch=_BATCH, decay=0, optimiser="adamw", seed=setting.seed)
    fit(trained, inputs, wanted, schedule, setting.say, loss=softened(1))
    names = [publish(setting, save(graph, folder / "qat_photos_float.onnx"), "qat_photos_float", said)]
    notes = {}
    for name, network in networks.items():
        notes[name] = off(network, asked, wanted_dev)
        names.append(publish(setting, to_qdq(network, folder / f"{name}.onnx", made_by), name, said))
    judgement = evaluate(setting, "qat_photos", names, setting.photos)
    return rows_of("qat_photos", judgement, {"qat_photos_trained_tensor": "training"}, notes)
