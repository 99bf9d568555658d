"""The configurations that are written are the server's and Triton's; what an operator may change stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from topfive.ground.errors import ConfigurationError
from topfive.models.wiring import apply, classifies
from topfive.repository.reading import Repository
from topfive_pipeline.entry.configs import Shape, check_same_interface, config_texts

SHAPE = Shape(crop=(48, 192), labels=2)


def check(name: str, there: str, wanted: Shape = SHAPE) -> None:
    check_same_interface(there, config_texts("pets", wanted)[name], name=name, where=f"{name}/config.pbtxt")


@pytest.mark.parametrize("embedding", [None, 512])
def test_they_are_tritons_and_the_servers(embedding: int | None, tmp_path: Path) -> None:
    texts = config_texts("pets", Shape(crop=(48, 192), labels=2, embedding=embedding))
    for name, text in texts.items():
        config: Any = text_format.Parse(text, model_config_pb2.ModelConfig())
        assert config.name == name
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(text, encoding="utf-8")
        if name != "pets":
            (tmp_path / name / "1" / "model.onnx").touch()
    models = apply({}, Repository(tmp_path).read())
    assert set(models) == {"pets", "pets_resize", "pets_classify"}
    assert classifies(models["pets_classify"])
    (pixels,) = models["pets_classify"].config.inputs
    assert (pixels.name, pixels.datatype, tuple(pixels.shape)) == ("pixels", "UINT8", (-1, 48, 192, 3))
    outputs = {tensor.name: tuple(tensor.shape) for tensor in models["pets"].config.outputs}
    labels = {"classes": (-1, 2), "probabilities": (-1, 2), "indices": (-1, 2)}
    assert outputs == labels | ({"embedding": (-1, 512)} if embedding else {})


@pytest.mark.parametrize("name", ["pets", "pets_resize", "pets_classify"])
def test_what_is_the_operators_may_differ(name: str) -> None:
    """Comments, batching, instances, versions, warm-up."""
    text = config_texts("pets", SHAPE)[name].replace("max_batch_size: 16", "max_batch_size: 4  # ours")
    text = text.replace("KIND_AUTO", "KIND_CPU, count: 3").replace("max_queue_size: 256", "max_queue_size: 7")
    check(name, text)


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        (
            "pets_resize",
            Shape(crop=(48, 48), labels=2),
            r"other outputs \(pixels UINT8 \[48, 48, 3\]\).*\[48, 192, 3\]",
        ),
        ("pets_classify", Shape(crop=(48, 48), labels=2), r"other inputs \(pixels UINT8 \[48, 48, 3\]\)"),
        ("pets", Shape(crop=(48, 192), labels=3), r"other outputs \(classes BYTES \[3\].*\(classes BYTES \[2\]"),
        ("pets", Shape(crop=(48, 192), labels=2, embedding=8), r"other outputs \(.*embedding FP32 \[8\]"),
    ],
)
def test_tensors_may_not_differ(name: str, wanted: Shape, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        check(name, config_texts("pets", SHAPE)[name], wanted)
    assert str(error.value).startswith(f"{name}/config.pbtxt: the new version has")
    assert "another --name, or with --replace" in str(error.value)


def test_steps_may_not_differ() -> None:
    there = config_texts("pets", SHAPE)["pets"].replace('"pets_resize"', '"dogs_resize"')
    with pytest.raises(ConfigurationError, match=r"other steps \(pets_resize, pets_classify\)"):
        check("pets", there)


def test_a_configuration_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"pets/config.pbtxt"):
        check("pets", "name: [")
