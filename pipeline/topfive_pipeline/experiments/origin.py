"""What a run was made with: code, libraries and processor. Nothing names the user or the host."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from topfive import __version__
from topfive.machine.cpu_features import flags
from topfive_pipeline.judging.machine import this_machine

COMMIT: Final = "mlflow.source.git.commit"
"""MLflow's own pages show it as the version of the code."""
CHANGED: Final = "git.changed"
CPU: Final = "cpu"
ENGINES: Final = ("onnxruntime", "onnxruntime-gpu", "openvino")
_LIBRARIES: Final = (*ENGINES, "onnx", "numpy", "pillow")
_FEATURES: Final = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
)
"""Flags of instructions that the speed of a network depends on, as Linux names them."""
_SECONDS: Final = 10.0


def tags() -> dict[str, str]:
    """All of it, by name."""
    machine = this_machine()
    found = {
        "topfive.version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        CPU: machine.cpu,
        "cpu.cores": str(machine.cores),
        "cpu.features": " ".join(name for name in _FEATURES if name in flags()),
    }
    return found | _versions() | commit_of(Path(__file__))


def commit_of(file: Path) -> dict[str, str]:
    """The commit that `file` is of, and whether anything was changed since; empty if git does not keep the file."""
    git = shutil.which("git")
    if git is None or _git(git, file, "ls-files", "--error-unmatch", file.name) is None:
        return {}
    commit = _git(git, file, "rev-parse", "HEAD")
    changed = _git(git, file, "status", "--porcelain", "--untracked-files=no")
    return {} if commit is None else {COMMIT: commit, CHANGED: "yes" if changed else "no"}


def _git(git: str, file: Path, *arguments: str) -> str | None:
    """What git says in the folder of `file`; None if it says that something is not so, or cannot be run."""
    try:
        done = subprocess.run(  # noqa: S603  # git, with words of ours
            [git, *arguments], cwd=file.parent, check=False, capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
