"""The parts of a tritonserver, as `make setup-triton` installs them, and the folder of backends made of them.

They are the binaries of nvidia-pytriton's wheel, whose Python API is not used, and a separate Python with NumPy 1 and
ONNX Runtime: the server's Python backend corrupts the tensors of NumPy 2.
"""

import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

HOME = "TRITON_HOME"  # in the environment: another virtual environment to take the parts from
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LIBPYTHON = f"libpython{PYTHON}.so.1.0"
RUNTIME = Path(__file__).parent / "onnxruntime"  # the folder's name is the backend's


def missing() -> str:
    """What is missing for a tritonserver, and what to do about it; empty if nothing is missing."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "the tritonserver of the tests is for Linux on x86_64 only"
    if not (parts := Parts.find()).server.is_file():
        return "there is no tritonserver: `make setup-triton` installs it"
    if not parts.stub.is_file():
        return f"the tritonserver of the tests cannot run Python {PYTHON}: make the environment with another"
    if not parts.libpython:
        return f"there is no {LIBPYTHON}; on Debian: apt-get install libpython{PYTHON}"
    return ""


@dataclass(frozen=True, slots=True)
class Parts:
    """A virtual environment with the wheel, and the folder of the interpreter's shared library."""

    home: Path
    libpython: Path | None

    @classmethod
    def find(cls) -> "Parts":
        """Find the parts in the folder that the environment names, otherwise where `make setup-triton` puts them."""
        home = os.environ.get(HOME)
        return cls(Path(home) if home else Path(sys.prefix) / "triton", _libpython())

    @property
    def server(self) -> Path:
        return self._wheel / "bin" / "tritonserver"

    @property
    def stub(self) -> Path:
        """The program that runs a model in Python; there is one for each version of Python."""
        return self._wheel / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"

    def environment(self) -> dict[str, str]:
        """The server's environment variables: paths of its libraries, and of a Python with NumPy and ONNX Runtime."""
        libraries = (self._packages / "nvidia_pytriton.libs", self.libpython)
        return {
            **os.environ,
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": ":".join(str(folder) for folder in libraries if folder),
            "ORT_DISABLE_TELEMETRY": "1",
        }

    def make_backends(self, folder: Path) -> None:
        """Fill a folder for `--backend-directory`, with copies: the server refuses links that lead out of it."""
        python = folder / "python"
        shutil.copytree(self._wheel / "backends" / "python", python, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(self.stub, python)
        shutil.copytree(RUNTIME, folder / RUNTIME.name, ignore=shutil.ignore_patterns("__pycache__"))

    @property
    def _packages(self) -> Path:
        return self.home / "lib" / f"python{PYTHON}" / "site-packages"

    @property
    def _wheel(self) -> Path:
        return self._packages / "pytriton" / "tritonserver"


def _libpython() -> Path | None:
    """The folder of this Python's shared library; None if the installation has none."""
    known = (Path(sysconfig.get_config_var("LIBDIR") or ""), Path(sys.base_prefix) / "lib")
    return next((folder for folder in known if (folder / LIBPYTHON).is_file()), None)
