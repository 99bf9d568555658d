"""The trained network that several recipes start from: trained once, and kept."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from recipes.kit.networks import plain
from recipes.kit.setting import Setting
from recipes.kit.training import Schedule, fit, shifted


def trained(setting: Setting) -> nn.Sequential:
    """`plain`, trained on the training pictures: from the file that an earlier recipe kept, or now."""
    data = setting.data
    schedule = Schedule(epochs=setting.either(8, 2), seed=setting.seed)
    torch.manual_seed(setting.seed)
    network = plain(len(data.classes))
    key = hashlib.sha256(f"{data.fingerprint} {schedule} {network}".encode()).hexdigest()[:12]
    kept = setting.out / "trained" / f"plain-{key}.pt"
    if kept.is_file():
        network.load_state_dict(torch.load(kept, weights_only=True))
    else:
        setting.say("training the network that the recipes start from")
        labels = torch.from_numpy(data.train.labels)
        fit(network, data.inputs(data.train), labels, schedule, setting.say, augment=shifted)
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), kept)
    return network.eval()
