"""Makes the zoo: a virtual environment for each framework, and its models; what is there already stays.

A list of requirements is installed as it is written. Where torch is a build for CUDA, its parts are installed too, as
`make setup-export` does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.server import ROOT
from benchmarks.zoo_models import saving

REQUIREMENTS: Final = ROOT / "requirements"
MAKERS: Final = {"zoo": ("torch_models", "packaged_models"), "zoo-keras": ("keras_models",)}
"""By the name of a file in `requirements/`: the modules that run in its environment."""
COMPLETE: Final = ".complete"
CUDA: Final = "from importlib.metadata import requires; print(requires('torch'))"


def make(out: Path, photos: Path, *, count: int) -> None:
    """Write the pictures and all models into `out`; raises `SystemExit` with the reason if a framework cannot."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / saving.PHOTOS).exists():
        saving.write_pictures(out, photos, count)
    for name, modules in MAKERS.items():
        missing = [module for module in modules if not (out / f".{module}").exists()]
        python = environment(out, name) if missing else Path()
        for module in missing:
            print(f"{module}: exporting", file=sys.stderr)
            run([str(python), "-W", "ignore", "-m", f"benchmarks.zoo_models.{module}", str(out.resolve())])
            (out / f".{module}").touch()


def environment(out: Path, name: str) -> Path:
    """The Python of a virtual environment with `requirements/NAME.txt`."""
    folder = out / f".venv-{name}"
    python = folder / "bin" / "python"
    if not (folder / COMPLETE).exists():
        print(f"requirements/{name}.txt: installing, into {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(folder)])
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r"]
        run([*install, str(REQUIREMENTS / f"{name}.txt")])
        if "torch_models" in MAKERS[name] and "nvidia-" in run([str(python), "-c", CUDA]):
            run([*install, str(REQUIREMENTS / "export-cuda.txt")])
        (folder / COMPLETE).touch()
    return python


def run(command: list[str]) -> str:
    """The output of a command, run in the project's root."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout
