"""The ONNX Runtime that runs the graphs is whole, or the service says what to install instead."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from topfive.backends.runtime_builds import BUILDS, CPU, GPU, check_builds, installed_builds
from topfive.ground.errors import ConfigurationError

SHARED = "onnxruntime/__init__.py"


def install(site: Path, name: str, files: Mapping[str, str]) -> Distribution:
    """As pip does: over whatever is there."""
    described = site / f"{name.replace('-', '_')}-1.0.dist-info"
    described.mkdir(parents=True)
    described.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    record = [f"{described.name}/METADATA,,"]
    for file, text in files.items():
        site.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
        site.joinpath(file).write_text(text, "utf-8")
        record.append(f"{file},,{len(text)}")
    described.joinpath("RECORD").write_text("\n".join(record) + "\n", "utf-8")
    return Distribution.at(described)


def cpu(site: Path) -> Distribution:
    return install(site, CPU, {SHARED: "cpu", "onnxruntime/capi/cpu.so": "1"})


def gpu(site: Path) -> Distribution:
    return install(site, GPU, {SHARED: "of a gpu", "onnxruntime/capi/gpu.so": "1"})


def refusal(builds: Mapping[str, Distribution]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        check_builds(builds)
    return str(refused.value)


def test_the_one_of_this_environment_is_whole() -> None:
    builds = installed_builds()
    assert len(builds) == 1
    assert builds.keys() <= set(BUILDS)
    check_builds(builds)


def test_either_alone_will_do(tmp_path: Path) -> None:
    check_builds({CPU: cpu(tmp_path / "one")})
    check_builds({GPU: gpu(tmp_path / "other")})


def test_a_build_for_the_gpu_over_that_for_the_cpu_holds(tmp_path: Path) -> None:
    """As docs/operations.md has it: the extra, then the GPU's build once more."""
    check_builds({CPU: cpu(tmp_path), GPU: gpu(tmp_path)})


def test_none_says_what_to_install() -> None:
    text = refusal({})
    assert "not installed" in text
    assert f"--no-deps {CPU}`" in text
    assert f"--no-deps {GPU}`" in text


def test_one_for_the_cpu_that_was_installed_over_the_gpus_is_refused_and_both_are_named(tmp_path: Path) -> None:
    """So does `pip install topfive[gpu]` alone. It would run, on the CPU, and nobody would notice."""
    gpus = gpu(tmp_path)
    text = refusal({CPU: cpu(tmp_path), GPU: gpus})
    assert f"pip uninstall --yes {CPU} {GPU}" in text


def test_two_for_other_devices_are_refused(tmp_path: Path) -> None:
    other = "onnxruntime-openvino"
    text = refusal({GPU: gpu(tmp_path), other: install(tmp_path, other, {"onnxruntime/capi/openvino.so": "1"})})
    assert f"{GPU} and {other}" in text


def test_one_alone_need_not_be_whole(tmp_path: Path) -> None:
    """Images leave out of it what no server opens."""
    build = cpu(tmp_path)
    tmp_path.joinpath(SHARED).unlink()
    check_builds({CPU: build})


def test_one_that_lost_files_to_another_is_not_taken_for_whole(tmp_path: Path) -> None:
    builds = {CPU: cpu(tmp_path), GPU: gpu(tmp_path)}
    tmp_path.joinpath("onnxruntime/capi/gpu.so").unlink()
    assert f"several builds of ONNX Runtime are installed, {CPU} and {GPU}" in refusal(builds)
