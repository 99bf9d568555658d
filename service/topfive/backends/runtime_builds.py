"""Which builds of ONNX Runtime are installed, and whether one of them is whole.

Each build is a distribution of its own (`onnxruntime`, `onnxruntime-gpu`, …), and all of them write into one folder,
`onnxruntime/`. pip can't know that: `pip install topfive[gpu]` leaves two in place, of which the one that was installed
last holds: the CPU's, until the other is installed again. So what lies on the disk is compared with what each brought.
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
    """Raise `ConfigurationError` unless one of `builds` holds, and is the one that was asked for.

    Where there are several, the build for the CPU, which comes by default, gives way to the other. A build that is
    alone need not be whole: images leave out of it what no server opens.
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
    """Whether the files that `build` brought are there, each of the size that it had."""
    files = [file for file in build.files or () if file.parts[0] == "onnxruntime" and file.size is not None]
    try:
        return bool(files) and all(Path(file.locate()).stat().st_size == file.size for file in files)
    except FileNotFoundError:
        return False
