"""What a config.pbtxt says of a GPU becomes ONNX Runtime's options; no GPU is needed to see which.

Nobody has seen them run on one here.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.repository.test_gpu_accelerators import accelerated, named
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, REAL_REPOSITORY, classifier_graph, write_model
from topfive.app import create_serving
from topfive.backends.embedded import EmbeddedFactory
from topfive.backends.engines import open_graph
from topfive.backends.gpu_providers import CUDA, TENSORRT, gpu_providers
from topfive.backends.onnx_runtime import runtime
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError
from topfive.machine.workers import WorkerPool
from topfive.repository.gpu_accelerators import Gpu


def test_cuda_alone_has_our_defaults_unless_they_are_overridden(tmp_path: Path) -> None:
    assert gpu_providers(tmp_path, Gpu(), None) == [(CUDA, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]
    ((_, options),) = gpu_providers(tmp_path, Gpu(cuda_options=(("use_tf32", "1"), ("gpu_mem_limit", "9"))), None)
    assert options == {"use_tf32": "1", "cudnn_conv_algo_search": "HEURISTIC", "gpu_mem_limit": "9"}


def test_tensorrt_comes_first_and_cuda_takes_the_rest(tmp_path: Path) -> None:
    gpu = Gpu(tensorrt=True, precision="fp16", workspace_bytes=7, engine_cache="cat/fp16")
    (first, options), (second, _) = gpu_providers(tmp_path / "model.onnx", gpu, tmp_path / "cache")
    assert (first, second) == (TENSORRT, CUDA)
    folder = tmp_path / "cache" / "cat" / "fp16"
    assert options == {
        "trt_fp16_enable": "1",
        "trt_max_workspace_size": "7",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
    }
    assert folder.is_dir()
    assert gpu_providers(tmp_path, Gpu(tensorrt=True), None)[0] == (TENSORRT, {})


def test_int8_is_for_graphs_that_say_by_which_scales(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra `import` is not installed")
    gpu, path = Gpu(tensorrt=True, precision="int8"), tmp_path / "model.onnx"
    path.write_bytes(classifier_graph())
    with pytest.raises(ConfigurationError, match="asks TensorRT for INT8, and the graph has no Quantize"):
        gpu_providers(path, gpu, None)
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ("given", "made")]
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["given", "scale"], ["bytes"]),
        onnx.helper.make_node("DequantizeLinear", ["bytes", "scale"], ["made"]),
    ]
    scale = onnx.helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.5])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], [scale])), path)
    assert gpu_providers(path, gpu, None)[0] == (TENSORRT, {"trt_int8_enable": "1"})


def test_engines_are_kept_only_where_the_operator_allows_it(tmp_path: Path) -> None:
    gpu = Gpu(tensorrt=True, engine_cache="cat")
    with pytest.raises(ConfigurationError, match="nothing may be kept: set engine_cache_folder"):
        gpu_providers(tmp_path, gpu, None)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "cat").symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="the trt_engine_cache_path 'cat' of its config"):
        gpu_providers(tmp_path, gpu, tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="engines cannot be kept in"):
        gpu_providers(tmp_path, gpu, tmp_path / "file")


@pytest.mark.parametrize("inside", ["", "cache"])
def test_never_in_the_model_repository(inside: str, tmp_path: Path) -> None:
    write_model(tmp_path, "m", CLASSIFIER_CONFIG, classifier_graph())
    settings = Settings(model_repository=tmp_path, engine_cache_folder=tmp_path / inside)
    with pytest.raises(ConfigurationError, match=r"engine_cache_folder '.*' is within the model repository"):
        create_serving(settings, on_fatal=lambda: None)


async def test_without_tensorrt_in_the_runtime_it_is_refused(tmp_path: Path) -> None:
    """Rather than run on the CPU, as ONNX Runtime would by itself."""
    if TENSORRT in runtime().get_available_providers():
        pytest.skip("the ONNX Runtime that is installed has TensorRT")
    more = accelerated(named("tensorrt", precision_mode="FP16")).partition("}")[2]
    text = CLASSIFIER_CONFIG + more[more.index("instance_group") :]
    write_model(tmp_path, "m", text, classifier_graph())
    model = read_repository(tmp_path)["m"]
    pool = WorkerPool(threads=1, name="compute")
    with pytest.raises(ConfigurationError, match="asks for TensorRT, and the ONNX Runtime that is installed is built"):
        await EmbeddedFactory(cores=1, alone_threads=1).batched(model.config, model.graph_path(1), pool)


@pytest.mark.gpu
async def test_tensorrt_gives_what_the_cpu_gives(tmp_path: Path) -> None:
    if TENSORRT not in runtime().get_available_providers() or shutil.which("nvidia-smi") is None:
        pytest.skip("needs an NVIDIA GPU, the extra `gpu` and TensorRT")
    model = read_repository(REAL_REPOSITORY)["efficientnet_lite0_classify"]
    path, crop = model.graph_path(1), np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    by_tensorrt = replace(model.config, device="gpu", gpu=Gpu(tensorrt=True, precision="fp16"))
    configs = (replace(model.config, device="cpu"), by_tensorrt)
    graphs = [open_graph(path, config, threads=1) for config in configs]
    expected, found = (dict(zip(graph.outputs, graph.run(crop), strict=True)) for graph in graphs)
    assert found["classes"].tolist() == expected["classes"].tolist()
    assert np.abs(found["probabilities"] - expected["probabilities"]).max() < 0.01
