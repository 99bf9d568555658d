"""A run says with what code and on what processor it was, and not by whom nor where."""

from __future__ import annotations

import subprocess
from pathlib import Path

from topfive_pipeline.experiments import origin

NAMES = {"topfive.version", "python", "system", "cpu", "cpu.cores", "cpu.features", "git.changed", origin.COMMIT}
LIBRARIES = {"onnxruntime", "onnxruntime-gpu", "openvino", "onnx", "numpy", "pillow"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    return subprocess.check_output(["git", *identity, *arguments], cwd=folder, text=True).strip()


def test_it_has_a_closed_list_of_names_none_of_which_is_the_user_or_the_host() -> None:
    found = origin.tags()
    assert found.keys() <= NAMES | LIBRARIES
    assert {"topfive.version", "onnxruntime", "onnx", "cpu", "cpu.cores"} <= found.keys()
    assert all(isinstance(value, str) for value in found.values())


def test_code_of_a_checkout_has_its_commit_and_says_whether_it_was_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    file = tmp_path / "module.py"
    file.write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert origin.commit_of(file) == {origin.COMMIT: commit, "git.changed": "no"}
    file.write_text("two")
    assert origin.commit_of(file) == {origin.COMMIT: commit, "git.changed": "yes"}


def test_what_is_installed_inside_somebodys_checkout_is_not_of_its_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "theirs")
    installed = tmp_path / ".venv" / "module.py"
    installed.parent.mkdir()
    installed.touch()
    assert origin.commit_of(installed) == {}
    assert origin.commit_of(tmp_path / "gone" / "module.py") == {}
