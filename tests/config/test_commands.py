"""A first word is a command that some package brings; which ones there are is looked up for a word only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testkit.serving_process import ROOT

MODULE = """
import sys
from topfive.ground.errors import ConfigurationError

def main(arguments: list[str]) -> int:
    print("grown", *arguments)
    return len(arguments)

def refuse(arguments: list[str]) -> int:
    raise ConfigurationError("the soil is dry; water it")
"""
ENTRY_POINTS = """[topfive.commands]
grow = greenhouse:main
refuse = greenhouse:refuse
import = greenhouse_without_onnx:main
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a package that brings commands, installed as pip installs."""
    folder = tmp_path / "greenhouse-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: greenhouse\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "greenhouse.py").write_text(MODULE)
    (tmp_path / "greenhouse_without_onnx.py").write_text("import no_such_onnx\n")
    return tmp_path


def run(installed: Path, *words: str, module: str = "topfive") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{installed}{os.pathsep}{ROOT / 'service'}"}
    command = (sys.executable, "-m", module, *words)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["topfive", "service"])
def test_a_command_gets_the_words_after_it_and_gives_the_exit_code(installed: Path, module: str) -> None:
    """Flags of the service, as --help, are then its own; by the old name in a checkout too."""
    ended = run(installed, "grow", "--help", "beans", "--port=5", module=module)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "grown --help beans --port=5\n", "")


def test_a_command_whose_packages_are_not_installed_says_how_to_get_them(installed: Path) -> None:
    ended = run(installed, "import", "MODEL.onnx")
    assert ended.returncode == 2
    assert ended.stderr.startswith("topfive import needs the extra `import`: pip install 'topfive[import]' (")
    assert "no_such_onnx" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_what_a_command_refuses_is_one_line(installed: Path) -> None:
    ended = run(installed, "refuse")
    assert (ended.returncode, ended.stderr) == (2, "topfive refuse: the soil is dry; water it\n")


def test_a_word_that_is_no_command_is_told_which_there_are(installed: Path) -> None:
    ended = run(installed, "grwo")
    assert ended.returncode == 2
    assert ended.stderr.startswith("topfive: there is no command 'grwo' (did you mean grow?); there are ")
    for name in ("grow", "refuse", "import"):
        assert name in ended.stderr


def test_the_help_lists_the_commands(installed: Path) -> None:
    ended = run(installed, "--help")
    assert ended.returncode == 0
    assert "\n  topfive import      makes a servable model of a trained network" in ended.stdout
    assert "\n  topfive grow" in ended.stdout


def test_a_service_starts_without_looking_for_commands() -> None:
    """What reads the entry points of all packages is not even imported by a flag."""
    code = (
        "import sys; sys.argv = ['topfive', '--version']; from topfive.__main__ import main; main(); "
        "assert 'topfive.config.commands' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "service")}
    subprocess.run((sys.executable, "-c", code), env=environment, check=True, capture_output=True)
