"""What is tuned is the classifier behind the name that clients call; what cannot be tuned is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.tiny_models import CLASSIFIER_CONFIG, write_tiny_repository
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.tuning.subject import find


def test_of_an_ensemble_it_is_the_classifier(tmp_path: Path) -> None:
    found = find("tiny", write_tiny_repository(tmp_path))
    assert found.config == tmp_path / "classify" / "config.pbtxt"
    assert [folder.name for folder in found.folders] == ["tiny", "crop", "classify"]
    assert found.side is None


def test_a_step_is_no_model_that_clients_call(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no model 'classify' that clients can ask; it has tiny"):
        find("classify", write_tiny_repository(tmp_path))


def test_a_model_for_a_gpu_is_refused_with_what_to_do(tmp_path: Path) -> None:
    kind = "instance_group [ { kind: KIND_GPU } ]\n"
    write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG + kind)
    with pytest.raises(ConfigurationError, match=r"runs on a GPU here \(KIND_GPU\).* KIND_CPU to tune it for one"):
        find("tiny", tmp_path)


def test_a_model_that_only_triton_runs_is_refused_by_its_field(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG + "response_cache { enable: true }\n")
    with pytest.raises(ConfigurationError, match=r"response_cache.* serve this model on Triton"):
        find("tiny", tmp_path)
