"""What an import writes, served by a real tritonserver."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import tritonserver
from benchmarks.tritonserver.parts import Parts
from tests.pipeline.proof.conftest import NAME, Made
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.proof import on_triton


def script(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def client(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The tritonserver of the tests as a program that needs no further flags."""
    if reason := tritonserver.missing():
        pytest.skip(reason)
    folder, parts = tmp_path_factory.mktemp("triton"), Parts.find()
    parts.make_backends(folder / "backends")
    changed = {name: value for name, value in parts.environment().items() if os.environ.get(name) != value}
    settings = (f"{name}={value}" for name, value in changed.items())
    words = shlex.join(["env", *settings, str(parts.server), f"--backend-directory={folder / 'backends'}"])
    program = script(folder / "tritonserver", f'exec {words} "$@"')
    with on_triton.serving(program, made.written.repository) as client:
        yield client


def asked(made: Made) -> dict[str, list[tuple[np.ndarray, dict[str, np.ndarray]]]]:
    images = [np.asarray(photo.image()) for photo in made.photos]
    crops = [made.written.resize.run(image[np.newaxis])[0] for image in images]
    return {NAME: [(image, dict(made.written.classify.named(crop))) for image, crop in zip(images, crops, strict=True)]}


def test_triton_answers_as_the_graphs_do(client: Any, made: Made) -> None:
    figures: dict[str, float] = {}
    finding = on_triton.hold(client, asked(made), tolerance=1e-5, figures=figures)
    assert finding.passed, finding.said
    assert "the labels of 2 images are the same" in finding.said
    assert figures["triton_difference_max"] <= 1e-5


def test_other_answers_are_told(client: Any, made: Made) -> None:
    (image, answer), *_ = asked(made)[NAME]
    answer["classes"] = answer["classes"][:, ::-1]
    finding = on_triton.hold(client, {NAME: [(image, answer)]}, tolerance=1e-5)
    assert finding.passed is False
    assert finding.said.startswith(f"{NAME}: Triton answers [")


def test_a_model_that_triton_does_not_have_is_told(client: Any, made: Made) -> None:
    with pytest.raises(ConfigurationError, match=r"Triton does not answer for 'other': .*unknown model"):
        on_triton.hold(client, {"other": asked(made)[NAME]}, tolerance=1e-5)


def test_a_triton_that_does_not_start_is_quoted(tmp_path: Path, made: Made) -> None:
    broken = script(tmp_path / "broken", "echo 'I0101 loading'; echo 'E0101 no backend onnxruntime'; exit 1")
    finding = on_triton.compare(broken, made.written.repository, asked(made), tolerance=1e-5)
    assert finding.passed is False
    assert finding.said == f"Triton cannot serve {made.written.repository}: E0101 no backend onnxruntime"


def test_it_is_found_in_the_path_or_where_it_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert on_triton.find(None) is None
    there = script(tmp_path / "tritonserver", "exit 0")
    assert on_triton.find(None) == there
    assert on_triton.find(there) == there
    with pytest.raises(ConfigurationError, match=r"--tritonserver .*nowhere: there is no such program"):
        on_triton.find(tmp_path / "nowhere")
