"""Runs a graph on the CPU by ONNX Runtime, to see what its values really are."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from topfive_pipeline.graphs.weights import External
from topfive_pipeline.patience import patience

Arrays = dict[str, npt.NDArray[Any]]


def session(model: Any, external: External | None = None) -> onnxruntime.InferenceSession:
    """A session of `model`, whose weights may lie in the files `external`; raises what the runtime raises."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; warnings of others' graphs are noise
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # which takes CPU of others
    providers = ["CPUExecutionProvider"]
    if not external:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    with gathered(external) as folder:
        path = folder / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return onnxruntime.InferenceSession(path, options, providers=providers)


@contextmanager
def gathered(files: External) -> Iterator[Path]:
    """A folder with `files` under their names.

    The runtime wants weights in the graph's folder, and follows no symbolic link that leads out of it.
    """
    with tempfile.TemporaryDirectory() as folder:
        for location, file in files.items():
            there = Path(folder, location)
            there.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file.resolve(), there)
            except OSError:
                shutil.copyfile(file, there)
        yield Path(folder)


def run(running: onnxruntime.InferenceSession, feeds: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """All outputs by name; raises what the runtime raises, and `ConfigurationError` if it takes too long."""
    names = [output.name for output in running.get_outputs()]
    with patience() as options:
        return dict(zip(names, running.run(names, dict(feeds), options), strict=True))


def noise(shape: Sequence[int], dtype: str, *, seed: int = 0) -> npt.NDArray[Any]:
    """What stands for images: normally distributed floats, or bytes, the same for the same seed."""
    random = np.random.default_rng(seed)
    if dtype == "uint8":
        return random.integers(0, 256, tuple(shape), np.uint8)
    return random.standard_normal(tuple(shape), np.float32).astype(dtype)
