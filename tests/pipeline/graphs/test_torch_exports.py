"""Graphs as torch's exporters write them, of a small network with what is hard: attention and a class token."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.graphs import networks
from topfive_pipeline.graphs.batch import free_batch
from topfive_pipeline.graphs.network import read

torch: Any = pytest.importorskip("torch", reason="torch, of the extra `export`, is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, of the extra `export`, is not installed")


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


@pytest.mark.parametrize(
    ("opset", "dynamo", "batch_first", "fused"),
    [
        (14, False, True, False),
        (17, False, False, True),
        (18, True, True, False),
    ],
)
def test_an_export_with_a_fixed_batch_is_freed_by_rules(
    opset: int, dynamo: bool, batch_first: bool, fused: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = Transformer(batch_first=batch_first, fused=fused).eval()
    path = tmp_path / "export.onnx"
    model = exported(network, path, opset=opset, dynamo=dynamo)
    network_read = read(path)
    assert network_read.batch == 1
    freed = free_batch(network_read)
    assert freed.by == "rules"
    images = np.random.default_rng(6).standard_normal((3, 3, 8, 8)).astype(np.float32)
    got = networks.outputs(freed.network.model, **{network_read.input.name: images})[network_read.outputs[0].name]
    with torch.inference_mode():
        np.testing.assert_allclose(got, network(torch.from_numpy(images)).numpy(), atol=1e-5)
    assert model.opset_import[0].version == freed.network.model.opset_import[0].version
