"""Graphs as torch's exporters write them, of a small network with what is hard: attention and a class token."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.graphs import networks
from topfive_pipeline.graphs.batch import free_batch
from topfive_pipeline.graphs.network import read

pytestmark = [
    pytest.mark.skipif(find_spec(module) is None, reason=f"{module}, of the extra `export`, is not installed")
    for module in ("torch", "onnxscript")
]


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
    import torch

    from tests.pipeline.graphs.transformer import Transformer, exported

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
