"""The comparison of engines: what is compared, by which ratios, and that it runs."""

import json
from pathlib import Path

import pytest

from benchmarks import figures as f
from benchmarks.__main__ import main
from benchmarks.engines import AGREES, Variant, ratio, variants, written
from benchmarks.figures import Window
from benchmarks.server import ROOT
from topfive.machine.cpu_features import multiplies_bfloat16
from topfive.repository.model_config import parse_model_config

CLASSIFIER = "efficientnet_lite0_classify"


def test_what_the_processor_lacks_is_not_compared(tmp_path: Path) -> None:
    plain = ["onnxruntime", "openvino fp32"]
    assert [each.name for each in variants(None, bfloat16=False)] == plain
    assert [each.name for each in variants(None, bfloat16=True)] == [*plain, "openvino bf16"]
    assert [each.name for each in variants(tmp_path, bfloat16=False)] == [*plain, "onnxruntime int8", "openvino int8"]


def test_a_copy_of_the_repository_asks_for_the_engine(tmp_path: Path) -> None:
    (tmp_path / "int8.onnx").write_bytes(b"int8")
    for variant in variants(tmp_path / "int8.onnx", bfloat16=True):
        copy = written(tmp_path, ROOT / "model_repository", CLASSIFIER, variant)
        text = (copy / CLASSIFIER / "config.pbtxt").read_text()
        config = parse_model_config(text, name=CLASSIFIER, where="config.pbtxt")
        assert config.engine == variant.name.split()[0]
        assert config.precision == ("bf16" if variant.name == "openvino bf16" else "fp32")
        assert ((copy / CLASSIFIER / "1" / "model.onnx").read_bytes() == b"int8") is ("int8" in variant.name)


def test_ratios_are_of_windows_of_one_round() -> None:
    """A machine that gets slower from round to round changes none."""
    windows = [
        Window(number, name, 8, {f.IMAGES: speed * rate})
        for number, speed in enumerate((100, 50, 25))
        for name, rate in (("a", 1.0), ("b", 2.0))
    ]
    assert ratio(windows, f.IMAGES, "b", 8) == 2.0
    assert Variant(name="a").accelerator == ""


def test_a_quick_run_measures_each_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every request answered; how fast it was is not this test's business."""
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    assert main(["engines", "--quick", "--connections", "2", "--json", str(tmp_path / "run.json")]) == 0
    result = json.loads((tmp_path / "run.json").read_text())
    names = [each.name for each in variants(None, bfloat16=multiplies_bfloat16())]
    assert [window["scenario"] for window in result["windows"]] == names
    assert [window["values"]["wrong answers"] for window in result["windows"]] == [0] * len(names)
    assert all(window["values"][AGREES] > 0.9 for window in result["windows"])
    printed = capsys.readouterr().out
    assert all(f" {name} |" in printed for name in names)
