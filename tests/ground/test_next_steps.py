"""The next step is a command that a shell understands as it stands."""

from __future__ import annotations

import shlex

from topfive.ground.next_steps import import_advice, import_command


def test_a_path_is_one_word_for_the_shell() -> None:
    command = import_command("my models/ResNet's.onnx").strip("`")
    assert shlex.split(command) == ["topfive", "import", "my models/ResNet's.onnx", "--name", "NAME"]


def test_the_advice_holds_the_command() -> None:
    assert import_command("a.onnx") in import_advice("a.onnx")
    assert "MODEL.onnx" in import_advice()
