"""Where OpenVINO is not installed, a model that asks for it is refused, with what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, classifier_graph, write_model
from topfive.backends import openvino_runtime
from topfive.backends.embedded import EmbeddedFactory
from topfive.ground.errors import ConfigurationError
from topfive.machine.workers import WorkerPool


async def test_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not there
    openvino_runtime._openvino.cache_clear()
    openvino_runtime._core.cache_clear()
    accelerator = 'optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "openvino" } ] } }'
    write_model(tmp_path, "m", CLASSIFIER_CONFIG + accelerator, classifier_graph())
    model = read_repository(tmp_path)["m"]
    pool = WorkerPool(threads=1, name="compute")
    with pytest.raises(ConfigurationError, match=r"pip install 'topfive\[openvino\]'.*remove execution_accelerators"):
        await EmbeddedFactory(cores=1, alone_threads=1).batched(model.config, model.graph_path(1), pool)
