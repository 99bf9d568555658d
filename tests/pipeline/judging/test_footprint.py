"""What a model takes is measured where nothing was loaded before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.judging import footprint, loading
from topfive_pipeline.judging.footprint import footprint_of
from topfive_pipeline.judging.loading import Loaded, load
from topfive_pipeline.judging.sessions import Opening
from topfive_pipeline.judging.subjects import find


def test_it_is_the_median_of_several_processes(judged_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (subject,) = find(["pets:1"], judged_folder / "repository")
    loads = iter([Loaded(3, 100, 7), Loaded(1, 300, 9), Loaded(2, 200, 8)])
    monkeypatch.setattr(footprint, "_load", lambda *_: next(loads))
    found = footprint_of(subject, cores=2)
    assert (found.load_seconds, found.memory_bytes, found.image_bytes) == (2, 200, 8)
    assert found.size_bytes == sum(part.path.stat().st_size for part in subject.parts)


def test_a_process_of_its_own_loads_it(judged_folder: Path) -> None:
    (subject,) = find(["pets:1"], judged_folder / "repository")
    found = footprint_of(subject, cores=1, loads=1)
    assert 0 < found.load_seconds < 30
    assert found.memory_bytes > 0
    assert found.image_bytes >= 0


def test_what_it_loads_it_runs(repository: Path) -> None:
    paths = [str(graph_path(repository, f"efficientnet_lite0_{part}", 1)) for part in ("resize", "classify")]
    found = load([Opening(path, "onnxruntime", "fp32", 1) for path in paths])
    assert found.seconds > 0


def test_a_model_that_cannot_be_loaded_is_named(judged_folder: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(judged_folder / "repository", tmp_path / "repository")
    (subject,) = find(["pets:1"], repository)
    subject.classify.path.write_bytes(b"none")
    with pytest.raises(ConfigurationError, match=r"pets:1 cannot be loaded by a process of its own: .*model.onnx"):
        footprint_of(subject, cores=1, loads=1)


def test_the_process_says_one_document(judged_folder: Path) -> None:
    graph = graph_path(judged_folder / "repository", "pets_classify", 1)
    done = subprocess.run(
        [sys.executable, "-m", loading.__name__, json.dumps([[str(graph), "onnxruntime", "fp32", 1, 1]])],
        capture_output=True,
        check=True,
    )
    assert set(json.loads(done.stdout)) == {"seconds", "memory_bytes", "image_bytes"}
