"""The comparison of engines: what is compared, by which ratios, and that it runs."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import engines
from benchmarks import figures as f
from benchmarks.__main__ import main
from benchmarks.engines import AGREES, Variant, int8_beside, ratios, variants, written
from benchmarks.figures import Window
from benchmarks.server import ROOT
from topfive.repository.model_config import parse_model_config

CLASSIFIER = "efficientnet_lite0_classify"


def test_what_the_processor_lacks_is_not_compared(tmp_path: Path) -> None:
    plain = ["onnxruntime fp32", "openvino fp32"]
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


def test_the_newest_graph_beside_is_compared_in_the_place_of_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "repository" / "cat_classify"
    assert int8_beside(tmp_path / "repository", "cat_classify") is None
    for version in (1, 2):
        (folder / str(version)).mkdir(parents=True)
        (folder / str(version) / "model.onnx").write_bytes(b"fp32")
    (folder / "2" / "model.int8.onnx").write_bytes(b"int8")
    (folder / "config.pbtxt").touch()
    found = int8_beside(tmp_path / "repository", "cat_classify")
    assert found == folder / "2" / "model.int8.onnx"
    copy = written(tmp_path, tmp_path / "repository", "cat_classify", Variant(name="int8", graph=found))
    graphs = [copy / "cat_classify" / version / "model.onnx" for version in ("1", "2")]
    assert [graph.read_bytes() for graph in graphs] == [b"fp32", b"int8"]


def test_ratios_are_of_windows_of_one_round_and_one_input() -> None:
    """A machine that gets slower from round to round changes none, nor does the order, which is another in each."""
    windows = [
        Window(number, f"{scenario} {name}", 8, {f.IMAGES: speed * rate * slower})
        for number, speed in enumerate((100, 50, 25))
        for scenario, slower, turns in (("raw224", 1.0, 1), ("jpeg", 0.7, -1))
        for name, rate in (("a", 1.0), ("b fp32", 2.0))[::turns]
    ]
    for scenario in ("raw224", "jpeg"):
        assert ratios(windows, f.IMAGES, (scenario, "b fp32", 8)) == (2.0, 2.0, 2.0)
    assert Variant(name="a").accelerator == ""


def test_a_quick_run_measures_each_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request answered; how fast it was is not this test's business; two services and a photo are enough."""
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    monkeypatch.setattr(engines, "variants", lambda *given, **more: _ends(variants(*given, **more)))
    words = "engines --quick --connections 2 --scenario raw224 --scenario jpeg --images docs --json"
    assert main([*words.split(), str(tmp_path / "run.json")]) == 0
    result = json.loads((tmp_path / "run.json").read_text())
    names = ["onnxruntime fp32", "openvino int8"]
    asked = {f"{scenario} {name}" for scenario in ("raw224", "jpeg") for name in names}
    assert {window["scenario"] for window in result["windows"]} == asked
    assert [window["values"]["wrong answers"] for window in result["windows"]] == [0] * len(asked)
    in_fp32 = [window for window in result["windows"] if window["scenario"].endswith("fp32")]
    assert [window["values"][AGREES] for window in in_fp32] == [1] * len(in_fp32)
    printed = capsys.readouterr().out
    assert all(f" {name} |" in printed for name in names)


def _ends(found: Sequence[Variant]) -> list[Variant]:
    return [found[0], found[-1]]


def test_an_input_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "--scenario", "png"]) == 2
    assert capsys.readouterr().err == "--scenario: there is no png; say raw224, mixed, jpeg\n"
