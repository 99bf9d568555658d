"""From a network in PyTorch to a model that topfive serves, and to its place in a table: export, import, evaluate."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import onnx
import torch
from torch import nn

from recipes.kit.data import Data, write_folder
from recipes.kit.setting import Setting
from topfive_pipeline.commands import evaluating, importing

_OPSET: Final = 19


def to_onnx(network: nn.Module, example: torch.Tensor, file: Path, *, optimise: bool = True) -> Path:
    """Export `network` as it is served, FP32 `normalised` [N, ...] -> `logits` FP32 [N, classes], to `file`.

    `example`: an input, of at least two samples. `optimise`: fold batch normalisation and constants, as PyTorch's
    exporter does unless it is told not to. Returns `file`.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # deprecation warnings inside torch's own exporter
        program = torch.onnx.export(
            network.eval(),
            (example,),
            dynamo=True,
            opset_version=_OPSET,
            optimize=optimise,
            input_names=["normalised"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            external_data=False,
        )
    assert program is not None
    return save(program.model_proto, file)


def save(model: onnx.ModelProto, file: Path, properties: Mapping[str, str] | None = None) -> Path:
    """Write `model` to `file`, with these `properties` in its `metadata_props`; return `file`."""
    onnx.helper.set_model_props(model, dict(properties or {}))
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
    return file


def preprocessing_of(data: Data, labels: Path) -> list[str]:
    """The flags of `topfive import` that say how networks are fed with `data`; it writes its classes into `labels`."""
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text("\n".join(data.classes) + "\n", encoding="utf-8")
    side = data.side
    return [
        "--resize", "squash", "--crop", f"{side}", "--interpolation", "bilinear", "--colour", "grey",
        "--scale", "1/255", "--mean", f"{data.mean}", "--std", f"{data.std}", "--labels", str(labels),
    ]  # fmt: skip


def publish(setting: Setting, file: Path, name: str, flags: Sequence[str] | None = None) -> str:
    """`topfive import` the ONNX `file` as `name` into the repository of the recipes; return `name`.

    `flags`: of the preprocessing, if it is not that of the setting's data. Raises `RuntimeError` if the proof fails.
    """
    said = flags or preprocessing_of(setting.data, setting.out / "labels.txt")
    _command(setting, importing.main, "import", [
        str(file), "--name", name, "--repository", str(setting.repository), "--replace", *said,
    ])  # fmt: skip
    return name


def evaluate(setting: Setting, recipe: str, names: Sequence[str], photos: Path | None = None) -> dict[str, Any]:
    """`topfive evaluate` the models `names`, the first of which the others are compared with.

    `photos`: labelled, of which the half that judges is taken; the test pictures of the setting's data if None. The
    report is written beside the models. Returns what `judgement.json` holds.
    """
    part = "judge" if photos else "all"
    if photos is None:
        photos = write_folder(setting.data.test, setting.data.classes, setting.out / f"{setting.data.name}-test")
    report = setting.out / "reports" / recipe
    _command(setting, evaluating.main, "evaluate", [
        *names, "--repository", str(setting.repository), "--photos", str(photos), "--part", part,
        "--batches", "1,8", "--rounds", str(setting.either(11, 1)), "--report", str(report),
    ])  # fmt: skip
    return dict(json.loads((report / "judgement.json").read_bytes()))


def _command(setting: Setting, command: Any, name: str, arguments: Sequence[str]) -> None:
    """Run an offline command as a user would; raises `RuntimeError` with what it said if it does not succeed."""
    arguments = [*arguments, *([] if setting.logs else ["--no-log"])]
    setting.say(f"topfive {name} {' '.join(arguments)}")
    said, failed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(failed):
        code = command(arguments)
    if code != 0:
        raise RuntimeError(
            f"topfive {name} {' '.join(arguments)} returned {code}:\n{said.getvalue()}{failed.getvalue()}"
        )
