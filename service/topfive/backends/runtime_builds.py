"""Finds which builds of ONNX Runtime are installed, and whether one of them is whole.

Each build is a distribution of its own (`onnxruntime`, `onnxruntime-gpu`, …), but all write into the same folder,
`onnxruntime/`. pip cannot know that: after `pip install topfive[gpu]` two are installed, and the files are those of the
one that was installed last: the CPU's, until the other is installed again. So the files are compared with each build's.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError

CPU: Final = "onnxruntime"
GPU: Final = "onnxruntime-gpu"
BUILDS: Final = (
    CPU,
    GPU,
    *(f"onnxruntime-{name}" for name in ("directml", "migraphx", "openvino", "qnn", "rocm", "training")),
    *("ort-nightly", "ort-nightly-gpu"),
)
CHOOSE: Final = (
    f"for the CPU `pip install --force-reinstall --no-deps {CPU}`, for an NVIDIA GPU "
    f"`pip install --force-reinstall --no-deps {GPU}`"
)


def installed_builds() -> dict[str, Distribution]:
    """The distributions of ONNX Runtime in this environment, by name."""
    found = {}
    for name in BUILDS:
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
    return found


def check_builds(builds: Mapping[str, Distribution]) -> None:
    """Raise `ConfigurationError` unless the files are those of one of `builds`, the one that the operator wants.

    If there are several, the operator wants not the build for the CPU, which comes by default, but the other. A build
    that is alone need not be whole: container images leave out files that no server opens.
    """
    if not builds:
        raise ConfigurationError(f"ONNX Runtime, which runs the graphs, is not installed: {CHOOSE}")
    if len(builds) == 1:
        return
    asked_for = builds.keys() - {CPU}
    if len(asked_for) > 1 or not all(_is_whole(builds[name]) for name in asked_for):
        raise ConfigurationError(
            f"several builds of ONNX Runtime are installed, {' and '.join(builds)}, and have overwritten files of one "
            f"another. Take them out with `pip uninstall --yes {' '.join(builds)}`, then put in what you want: {CHOOSE}"
        )


def _is_whole(build: Distribution) -> bool:
    """Whether all files of `build` are there, with their sizes."""
    files = [file for file in build.files or () if file.parts[0] == "onnxruntime" and file.size is not None]
    try:
        return bool(files) and all(Path(file.locate()).stat().st_size == file.size for file in files)
    except FileNotFoundError:
        return False
