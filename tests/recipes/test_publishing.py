"""An export is of the served mode, whatever mode the network is in; a command that refuses is heard."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there

from recipes.kit.data import load  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.publishing import publish, to_onnx  # noqa: E402
from recipes.kit.setting import Setting  # noqa: E402
from recipes.kit.training import logits_of  # noqa: E402

pytestmark = pytest.mark.untraced


def test_a_network_in_training_is_exported_as_it_is_served(tmp_path: Path) -> None:
    """So each sample is answered by itself, and as `logits_of` answers, at batch sizes other than the example's."""
    torch.manual_seed(0)
    network = plain(3, width=4)
    inputs = torch.randn(5, 1, 8, 8)
    network(2 + 3 * inputs)  # moves the statistics away from those of a batch
    expected = logits_of(network, inputs)
    file = to_onnx(network.train(), inputs[:2], tmp_path / "deep" / "graph.onnx")
    session = onnxruntime.InferenceSession(file)
    for batch in (inputs, inputs[:1]):
        (found,) = session.run(["logits"], {"normalised": batch.numpy()})
        np.testing.assert_allclose(found, expected[: len(batch)].numpy(), rtol=1e-4, atol=1e-5)


def test_a_failing_import_raises_what_it_said(tmp_path: Path) -> None:
    """Here a network of four classes meets data of ten: nothing is written."""
    said: list[str] = []
    setting = Setting(
        data=load("digits"), photos=None, out=tmp_path, quick=True, seed=0, logs=False, say=said.append
    )  # fmt: skip
    file = to_onnx(plain(4, width=4), torch.randn(2, 1, 8, 8), tmp_path / "four.onnx")
    told = r"topfive import .*four\.onnx .*--no-log returned 2:\n(.|\n)*4 classes, labels\.txt names 10"
    with pytest.raises(RuntimeError, match=told):
        publish(setting, file, "four")
    assert said[-1].startswith(f"topfive import {file} --name four")
    assert not (setting.repository / "four").exists()
