"""What lies nearly right in a repository is told with what to rename or move to what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository.test_reading import CONFIG, refusal, write_model
from topfive.ground.errors import ConfigurationError
from topfive.repository.misplaced import is_version, why_no_version
from topfive.repository.reading import Repository


def make(repository: Path, *paths: str) -> None:
    """Put files there; what ends in a slash is a folder."""
    for path in paths:
        target = repository / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(CONFIG if path.lower().startswith("cat/config") or "pbtxt" in path else "", "utf-8")


@pytest.mark.parametrize(
    ("paths", "right", "wrong"),
    [
        (["cat/v1/model.onnx"], "cat/v1", "cat/1"),
        (["cat/V3/model.onnx"], "cat/V3", "cat/3"),
        (["cat/01/model.onnx"], "cat/01", "cat/1"),
        (["cat/007/model.onnx"], "cat/007", "cat/7"),
        (["cat/version_2/model.onnx"], "cat/version_2", "cat/2"),
        (["cat/1.0/model.onnx"], "cat/1.0", "cat/1"),
    ],
)
def test_a_version_folder_of_another_name(tmp_path: Path, paths: list[str], right: str, wrong: str) -> None:
    make(tmp_path, "cat/config.pbtxt", *paths)
    assert f"rename '{tmp_path / right}' to '{tmp_path / wrong}'" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("paths", "here", "there"),
    [
        (["cat/model.onnx"], "cat/model.onnx", "cat/1/model.onnx"),
        (["cat/flowers.onnx"], "cat/flowers.onnx", "cat/1/model.onnx"),
        (["cat/model.onnx", "cat/1/"], "cat/model.onnx", "cat/1/model.onnx"),
        (["cat/1/export/model.onnx"], "cat/1/export/model.onnx", "cat/1/model.onnx"),
    ],
)
def test_a_graph_in_another_folder(tmp_path: Path, paths: list[str], here: str, there: str) -> None:
    make(tmp_path, "cat/config.pbtxt", *paths)
    assert f"move '{tmp_path / here}' to '{tmp_path / there}'" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["MODEL.ONNX", "Model.onnx", "model.onnx.onnx", "model.onnx.txt", "flowers.onnx"])
def test_a_graph_of_another_name(tmp_path: Path, name: str) -> None:
    make(tmp_path, "cat/config.pbtxt", f"cat/1/{name}")
    if (tmp_path / "cat" / "1" / "model.onnx").exists():
        pytest.skip("this file system takes both for the same")
    message = refusal(tmp_path)
    folder = tmp_path / "cat" / "1"
    assert f"{folder / 'model.onnx'} is missing; rename '{folder / name}' to '{folder / 'model.onnx'}'" in message
    assert f'or set default_model_filename to "{name}" in config.pbtxt' in message


def test_the_graph_that_default_model_filename_names(tmp_path: Path) -> None:
    write_model(tmp_path, config=CONFIG + 'default_model_filename: "cat.onnx"')
    folder = tmp_path / "cat" / "1"
    assert f"rename '{folder / 'model.onnx'}' to '{folder / 'cat.onnx'}'" in refusal(tmp_path)


def test_several_graphs_of_other_names(tmp_path: Path) -> None:
    make(tmp_path, "cat/config.pbtxt", "cat/1/a.onnx", "cat/1/b.onnx")
    assert "of 'a.onnx', 'b.onnx', rename one to 'model.onnx', or name it" in refusal(tmp_path)


def test_a_version_folder_that_is_empty(tmp_path: Path) -> None:
    make(tmp_path, "cat/config.pbtxt", "cat/1/")
    assert "its folder is empty; put the graph there" in refusal(tmp_path)


def test_a_graph_that_is_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "cat/config.pbtxt", "cat/1/model.onnx/weights")
    assert "model.onnx is missing; it is a folder, not a file" in refusal(tmp_path)


def test_a_graph_that_is_a_link_to_nowhere(tmp_path: Path) -> None:
    make(tmp_path, "cat/config.pbtxt", "cat/1/")
    (tmp_path / "cat" / "1" / "model.onnx").symlink_to("gone")
    assert "model.onnx is missing; it is a link that leads nowhere" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["config.pbtxt.txt", "Config.pbtxt", "CONFIG.PBTXT", "config.txt", "config.prototxt"])
def test_a_configuration_of_another_name(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"cat/{name}", "cat/1/model.onnx")
    if (tmp_path / "cat" / "config.pbtxt").exists():
        pytest.skip("this file system takes both for the same")
    assert f"rename '{tmp_path / 'cat' / name}' to '{tmp_path / 'cat' / 'config.pbtxt'}'" in refusal(tmp_path)


def test_a_configuration_in_the_version_folder(tmp_path: Path) -> None:
    make(tmp_path, "cat/1/config.pbtxt", "cat/1/model.onnx")
    here, there = tmp_path / "cat" / "1" / "config.pbtxt", tmp_path / "cat" / "config.pbtxt"
    assert f"move '{here}' to '{there}'" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("paths", "graph"),
    [
        (["cat/1/model.onnx"], "cat/1/model.onnx"),
        (["cat/9/model.onnx", "cat/10/model.onnx"], "cat/10/model.onnx"),
        (["cat/resnet18.onnx"], "cat/resnet18.onnx"),
        (["resnet18.onnx"], "resnet18.onnx"),
    ],
)
def test_a_graph_without_a_configuration_is_told_how_it_gets_one(tmp_path: Path, paths: list[str], graph: str) -> None:
    make(tmp_path, *paths)
    message = refusal(tmp_path)
    assert f"`topfive import {tmp_path / graph} --name NAME` makes a servable model of it" in message
    assert message.count("topfive import") == 1


def test_a_repository_that_is_a_graph(tmp_path: Path) -> None:
    make(tmp_path, "resnet18.onnx")
    path = tmp_path / "resnet18.onnx"
    assert f"it is a file: `topfive import {path} --name NAME` makes a servable model of it" in refusal(path)


@pytest.mark.parametrize("name", ["best.pt", "model.keras", "cat/weights.safetensors"])
def test_the_file_of_a_framework(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    assert f"export the model in '{tmp_path / name}' to ONNX, then `topfive import MODEL.onnx" in refusal(tmp_path)


def test_a_version_without_graph_and_configuration(tmp_path: Path) -> None:
    make(tmp_path, "cat/1/")
    assert "it has no config.pbtxt, and no graph; run the export again, then `topfive import" in refusal(tmp_path)


def test_a_repository_of_nothing(tmp_path: Path) -> None:
    assert "; `topfive import MODEL.onnx --name NAME` writes a model into a repository" in refusal(tmp_path)


def test_a_repository_that_is_one_level_higher_or_lower(tmp_path: Path) -> None:
    write_model(tmp_path / "models")
    assert f"set TOPFIVE_MODEL_REPOSITORY to '{tmp_path / 'models'}'" in refusal(tmp_path)
    assert "set TOPFIVE_MODEL_REPOSITORY to the folder above it" in refusal(tmp_path / "models" / "cat")


def test_what_lies_nearly_right_beside_models_holds_none_of_them_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_model(tmp_path, "whole")
    make(tmp_path, "cat/Config.pbtxt", "dog/1/model.onnx", "whole/v2/model.onnx")
    assert list(Repository(tmp_path).read()) == ["whole"]
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [message.split("'")[1] for message in warned] == [
        str(tmp_path / name) for name in ("cat", "dog", "whole/v2")
    ]
    assert "rename it to '2'" in warned[-1]


@pytest.mark.parametrize("name", ["latest", "configs", "1.5", "0", "a1b2", "\N{FULLWIDTH DIGIT TWO}"])
def test_what_is_no_number_is_not_guessed_at(name: str) -> None:
    assert not is_version(name)
    assert "rename" not in why_no_version(name, ()).reason


def test_what_is_taken_is_not_a_name_to_rename_to() -> None:
    assert "rename it to '1'" in why_no_version("v1", ["v1", "2"]).reason
    assert "rename" not in why_no_version("v1", ["v1", "1"]).reason


def test_the_refusal_is_a_configuration_error_also_where_the_folder_is_gone(tmp_path: Path) -> None:
    write_model(tmp_path, graph="")
    with pytest.raises(ConfigurationError, match="put the graph there"):
        Repository(tmp_path).read()
