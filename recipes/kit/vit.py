"""A small vision transformer, after Dosovitskiy et al., arXiv:2010.11929, and what may mix its tokens.

Pre-norm blocks, GELU, learned positions; the head takes the mean of the tokens, without a class token, as in Beyer et
al., arXiv:2205.01580.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from topfive.ground.errors import ConfigurationError

DIM = 192
"""Features of a token, as in DeiT-Ti (Touvron et al., arXiv:2012.12877): with fewer, matrix products hardly count."""
DEPTH = 3
"""Blocks."""
_SIDE = 4
"""Patches in a row, whatever the side of the pictures is: 16 tokens, with which two cores train in minutes."""
TOKENS = _SIDE**2


class Attention(nn.Module):
    """Self-attention of several heads: FP32 [n, tokens, dim] -> the same shape.

    Vaswani et al., arXiv:1706.03762, section 3.2: softmax(Q K^T / sqrt(dim / heads)) V in each head. The layers are as
    large whatever the number of heads is; the softmax has n * heads * tokens * tokens numbers.
    Raises `ConfigurationError` if `heads` does not divide `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ConfigurationError(f"{heads} heads cannot share {dim} features: choose a divisor of {dim}")
        self.heads = heads
        self.all = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Each token takes from all of them."""
        _, number, dim = tokens.shape
        queries, keys, values = (
            each.reshape(-1, number, self.heads, dim // self.heads).transpose(1, 2)
            for each in self.all(tokens).chunk(3, dim=-1)
        )
        likeness = queries @ keys.transpose(-2, -1) / math.sqrt(dim // self.heads)
        mixed = likeness.softmax(-1) @ values
        return cast(torch.Tensor, self.out(mixed.transpose(1, 2).reshape(-1, number, dim)))


class Fourier(nn.Module):
    """The real part of the Fourier transform over tokens and features: FP32 [n, tokens, dim] -> the same shape.

    FNet: Lee-Thorp et al., arXiv:2105.03824, equation 3. It has nothing to learn. With F = C - iS, Re(F x F) is
    C x C - S x S, which two products with constant matrices give. Divided by sqrt(tokens * dim), so that the transform
    keeps the scale of what it takes: FNet normalises after its blocks, these normalise before.
    """

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        (c_tokens, s_tokens), (c_features, s_features) = _waves(tokens), _waves(dim)
        self.over_features = nn.Buffer(torch.cat([c_features, s_features], 1))  # [dim, 2 dim]
        self.over_tokens = nn.Buffer(torch.cat([c_tokens, -s_tokens], 1))  # [tokens, 2 tokens]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Each token becomes a sum of all of them."""
        _, number, dim = tokens.shape
        waves = (tokens @ self.over_features).reshape(-1, number, 2, dim)
        return self.over_tokens @ waves.transpose(1, 2).reshape(-1, 2 * number, dim)


def _waves(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the transform of `size`, FP32 [size, size] each, divided by sqrt(size)."""
    number = torch.arange(size)
    angles = 2 * math.pi / size * (torch.outer(number, number) % size).double()
    return (angles.cos() / math.sqrt(size)).float(), (angles.sin() / math.sqrt(size)).float()


def gelu(values: torch.Tensor, *, is_training: bool = False) -> torch.Tensor:
    """GELU (Hendrycks and Gimpel, arXiv:1606.08415): to be served, in operators that ONNX Runtime fuses into one.

    PyTorch's exporter writes x * (0.5 * (1 + erf(x / sqrt(2)))), which ONNX Runtime runs as five; while `is_training`,
    PyTorch's own is faster.
    """
    return functional.gelu(values) if is_training else values * (1 + torch.erf(values / math.sqrt(2))) * 0.5


class Block(nn.Module):
    """Tokens are mixed, then each is changed by itself; both are added: FP32 [n, tokens, dim] -> the same shape."""

    def __init__(self, dim: int, mixer: nn.Module) -> None:
        super().__init__()
        self.before_mixer, self.mixer = nn.LayerNorm(dim), mixer
        self.before_wide, self.wide, self.narrow = nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """One after the other."""
        tokens = tokens + self.mixer(self.before_mixer(tokens))
        bent = gelu(self.wide(self.before_wide(tokens)), is_training=self.training)
        return cast(torch.Tensor, tokens + self.narrow(bent))


class VisionTransformer(nn.Module):
    """FP32 [n, 1, side, side] -> logits FP32 [n, classes]; `mixer` makes what mixes `TOKENS` tokens of `dim` features.

    It is called for each block. Raises `ConfigurationError` if 4 does not divide `side`.
    """

    def __init__(
        self, side: int, classes: int, mixer: Callable[[int], nn.Module], *, dim: int = DIM, depth: int = DEPTH
    ) -> None:
        super().__init__()
        if side % _SIDE:
            raise ConfigurationError(
                f"{_SIDE} patches do not fill {side} pixels: take pictures with a side of 4, 8, 12..."
            )
        self.patches = nn.Conv2d(1, dim, side // _SIDE, side // _SIDE)
        self.positions = nn.Parameter(torch.randn(TOKENS, dim) * 0.02)
        self.blocks = nn.Sequential(*(Block(dim, mixer(dim)) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, classes)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Patches become tokens; their mean is classified."""
        tokens = self.patches(pictures).flatten(2).transpose(1, 2) + self.positions
        return cast(torch.Tensor, self.head(self.norm(self.blocks(tokens)).mean(1)))
