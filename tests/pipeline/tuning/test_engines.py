"""Which engines are tried beside the one that is there."""

from __future__ import annotations

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.tuning import engines


def test_bfloat16_is_tried_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _: True)
    monkeypatch.setattr(engines, "multiplies_bfloat16", lambda: True)
    assert engines.engines("onnxruntime", bf16=True) == [("openvino", "fp32"), ("openvino", "bf16")]
    assert engines.engines("openvino", bf16=False) == [("onnxruntime", "fp32"), ("openvino", "fp32")]
    monkeypatch.setattr(engines, "multiplies_bfloat16", lambda: False)
    with pytest.raises(ConfigurationError, match="does not multiply bfloat16 numbers"):
        engines.engines("onnxruntime", bf16=True)
