"""What a network loses against the answers of its teacher, and how a trained one is trained on."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from recipes.kit.training import Loss
from topfive.ground.errors import ConfigurationError


def softened(temperature: float) -> Loss:
    """The loss against a teacher's logits: T^2 KL(softmax(teacher / T) || softmax(student / T)), FP32 [n, k] each.

    The mean of the samples, in nats times T^2, which keeps the gradient as large as it is at temperature 1: Hinton,
    Vinyals and Dean, arXiv:1503.02531, section 2. Raises `ConfigurationError` unless the temperature is above 0.
    """
    if temperature <= 0:
        raise ConfigurationError(f"a temperature of {temperature}: logits are divided by it; say one above 0, as 4")

    def loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        answers, wanted = ((logits / temperature).log_softmax(1) for logits in (student, teacher))
        return temperature**2 * functional.kl_div(answers, wanted, reduction="batchmean", log_target=True)

    return loss


class AsServed(nn.Module):
    """A network that stays as it is served while its weights are trained.

    Batch normalisation keeps its published statistics: of 16 crops the mean and variance are too uncertain, and the
    network would be trained on other activations than it is served with. Nothing is dropped at random either.
    """

    def __init__(self, network: nn.Module) -> None:
        """`network`: what is trained."""
        super().__init__()
        self.network = network

    def train(self, mode: bool = True) -> AsServed:
        """Stay in the mode in which it is served, whatever `mode` says."""
        super().train(False)
        return self

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the network answers."""
        answers: torch.Tensor = self.network(inputs)
        return answers
