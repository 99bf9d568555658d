"""A small network of PyTorch with what is hard to export, for tests; apart, for to import PyTorch takes seconds."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch


class Transformer(torch.nn.Module):  # type: ignore[misc] # torch may be missing
    """Patches of 4 x 4, a class token, one layer of attention; the tokens' dimension may come first."""

    def __init__(self, *, batch_first: bool, fused: bool) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 8, 4, 4)
        self.token = torch.nn.Parameter(torch.randn(1, 1, 8))
        self.places = torch.nn.Parameter(torch.randn(1, 5, 8))
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.head = torch.nn.Linear(8, 3)
        self.batch_first = batch_first
        self.fused = fused

    def forward(self, image: Any) -> Any:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], dim=1) + self.places
        if not self.batch_first:
            tokens = tokens.transpose(0, 1)
        mixed = self.attention(tokens, tokens, tokens, need_weights=not self.fused)[0]
        return self.head(mixed[:, 0] if self.batch_first else mixed[0])


def exported(network: Any, path: Path, *, opset: int, dynamo: bool) -> Any:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(1, 3, 8, 8),), path, opset_version=opset, dynamo=dynamo)
    return onnx.load(path)
