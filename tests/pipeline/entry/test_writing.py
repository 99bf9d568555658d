"""Writing goes aside first, then into place by renames; nothing is left of it, whatever happens between."""

from __future__ import annotations

import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.graphs import networks
from tests.pipeline.importing import contents
from topfive.ground.errors import ConfigurationError
from topfive.repository.graph_choice import GraphChoice
from topfive.repository.reading import Repository
from topfive_pipeline.entry import writing
from topfive_pipeline.entry.configs import Shape
from topfive_pipeline.entry.writing import (
    Entry,
    check_place,
    next_version,
    put_in_place,
    versions,
    written_aside,
)


def entry(*, resize: int = 17, classify: int = 17, external: dict[str, Path] | None = None) -> Entry:
    """A model whose graphs are told apart by their opsets."""
    return Entry(
        name="pets",
        graphs={
            "pets_resize": networks.linear(opset=resize),
            "pets_classify": networks.linear(opset=classify),
        },
        labels=("ant", "bee", "cat"),
        shape=Shape(crop=(4, 4), labels=3),
        external=external or {},
    )


def write(
    repository: Path, version: int = 1, *, replace: bool = False, resize: int = 17, classify: int = 17
) -> list[Path]:
    made = entry(resize=resize, classify=classify)
    check_place(made, repository, version=version, replace=replace)
    with written_aside(made, repository, version=version) as aside:
        return put_in_place(aside, repository, name="pets", version=version, replace=replace)


def test_aside_is_a_whole_repository_where_no_server_looks(tmp_path: Path) -> None:
    repository = tmp_path / "deep" / "repository"
    write(repository)
    before = set(Repository(repository).read())
    with written_aside(entry(), repository, version=7) as aside:
        assert aside.parent == repository
        assert aside.name.startswith(".pets.importing-")
        assert set(Repository(aside).read()) == {"pets", "pets_resize", "pets_classify"}
        assert (aside / "pets_classify" / "7" / "model.onnx").is_file()
        assert set(Repository(repository).read()) == before
        assert stat.S_IMODE(aside.stat().st_mode) == 0o755
    assert [path for path in contents(repository) if path.startswith(".")] == []


def test_nothing_is_left_of_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), written_aside(entry(), tmp_path / "repository", version=1):
        raise ZeroDivisionError
    assert not (tmp_path / "repository").exists()
    write(tmp_path / "repository")
    before = contents(tmp_path / "repository")
    with pytest.raises(ZeroDivisionError), written_aside(entry(), tmp_path / "repository", version=2):
        raise ZeroDivisionError
    assert contents(tmp_path / "repository") == before


@pytest.mark.skipif(sys.platform != "linux", reason="where even root may not write differs by system")
def test_a_folder_that_cannot_be_written_is_refused() -> None:
    with (
        pytest.raises(ConfigurationError, match="cannot be written"),
        written_aside(entry(), Path("/proc/repository"), version=1),
    ):
        pass


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigurationError, match=r"--repository .*file/repository: cannot be written"),
        written_aside(entry(), tmp_path / "file" / "repository", version=1),
    ):
        pass


def test_a_first_version_is_three_folders_the_ensemble_last(tmp_path: Path) -> None:
    assert write(tmp_path) == [tmp_path / name for name in ("pets_resize", "pets_classify", "pets")]
    assert set(Repository(tmp_path).read()) == {"pets", "pets_resize", "pets_classify"}


def test_a_first_version_may_have_any_number(tmp_path: Path) -> None:
    write(tmp_path, 5)
    assert versions(tmp_path / "pets_classify") == [5]
    assert versions(tmp_path / "pets") == [1]
    assert next_version(tmp_path, "pets") == 6


def test_a_further_version_leaves_alone_what_is_there(tmp_path: Path) -> None:
    write(tmp_path)
    before = contents(tmp_path)
    assert write(tmp_path, 2, classify=13) == [tmp_path / "pets_classify" / "2"]
    after = contents(tmp_path)
    assert {path: after[path] for path in before} == before
    assert sorted(after.keys() - before.keys()) == ["pets_classify/2", "pets_classify/2/model.onnx"]


def test_a_resize_graph_comes_only_where_it_is_another_than_the_latest(tmp_path: Path) -> None:
    write(tmp_path)
    assert write(tmp_path, 2, resize=13) == [tmp_path / "pets_resize" / "2", tmp_path / "pets_classify" / "2"]
    assert write(tmp_path, 3, resize=13) == [tmp_path / "pets_classify" / "3"]
    assert write(tmp_path, 4) == [tmp_path / "pets_resize" / "4", tmp_path / "pets_classify" / "4"]


def test_next_is_beyond_the_versions_of_both_graphs(tmp_path: Path) -> None:
    assert next_version(tmp_path / "none", "pets") == 1
    write(tmp_path)
    (tmp_path / "pets_resize" / "9").mkdir()
    for stray in ("pets_classify/old", "pets_classify/007", "pets_classify/.12"):
        (tmp_path / stray).mkdir()
    assert next_version(tmp_path, "pets") == 10


def test_replacing_takes_all_versions_away_and_no_other_model(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, 2, resize=13)
    (tmp_path / "dogs").mkdir()
    write(tmp_path, 1, replace=True, classify=13)
    assert versions(tmp_path / "pets_resize") == versions(tmp_path / "pets_classify") == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dogs", "pets", "pets_classify", "pets_resize"]


def test_replacing_completes_a_part_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "pets_classify" / "4").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="which is not the whole of a model 'pets'"):
        write(tmp_path)
    write(tmp_path, replace=True)
    assert versions(tmp_path / "pets_classify") == [1]


@pytest.mark.parametrize("part", ["pets_resize", "pets_classify"])
def test_a_part_of_another_model_is_not_replaced(part: str, tmp_path: Path) -> None:
    """It would take the other model's graph away."""
    write(tmp_path)
    with pytest.raises(ConfigurationError, match=f"--name {part}: it is a part of the model 'pets'"):
        check_place(replace(entry(), name=part), tmp_path, version=1, replace=True)


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("which", [1, 2])
def test_a_rename_that_fails_undoes_the_ones_before_it(
    which: int, anew: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody else imports at the same time, or a disk fails."""
    write(tmp_path)
    before = contents(tmp_path)
    renamed: list[Path] = []
    rename = Path.replace

    def failing(source: Path, target: Path) -> Path:
        renamed.append(source)
        if len(renamed) > which:
            raise OSError(28, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(ConfigurationError, match=r"cannot be written \(.*No space left on device\); it is as it was"):
        write(tmp_path, 2, replace=anew, resize=13)
    assert len(renamed) == which + 1
    assert contents(tmp_path) == before


def test_a_file_in_the_place_of_a_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "pets_classify" / "2").touch()
    before = contents(tmp_path)
    with pytest.raises(ConfigurationError, match="it is as it was"):
        write(tmp_path, 2, resize=13)
    assert contents(tmp_path) == before


def test_weights_that_stay_outside_are_copied_beside_the_graph(tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"123")
    with written_aside(entry(external={"parts/w.bin": weights}), tmp_path / "repository", version=2) as aside:
        assert (aside / "pets_classify" / "2" / "parts" / "w.bin").read_bytes() == b"123"
    assert weights.is_file()


def test_the_same_entry_is_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_what_a_killed_import_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".dogs.importing-x"
    (left / "dogs").mkdir(parents=True)
    with written_aside(entry(), tmp_path, version=1) as aside:
        assert not left.exists()
        write(tmp_path)
        assert aside.is_dir()  # that of an import that lives
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pets", "pets_classify", "pets_resize"]


def test_of_two_imports_at_once_the_second_is_refused(tmp_path: Path) -> None:
    with written_aside(entry(classify=13), tmp_path, version=1) as aside:
        write(tmp_path)
        before = contents(tmp_path / "pets_classify")
        with pytest.raises(ConfigurationError, match="pets_classify/1: another import has written it meanwhile"):
            put_in_place(aside, tmp_path, name="pets", version=1, replace=False)
        assert contents(tmp_path / "pets_classify") == before


@pytest.mark.parametrize("replace", [False, True])
def test_a_model_is_written_as_a_whole_or_not_at_all(tmp_path: Path, replace: bool) -> None:
    if replace:
        write(tmp_path)
    before = contents(tmp_path)
    with written_aside(entry(classify=13), tmp_path, version=1) as aside:
        shutil.rmtree(aside / "pets")  # the last of the three that are renamed
        with pytest.raises(ConfigurationError, match="it is as it was"):
            put_in_place(aside, tmp_path, name="pets", version=1, replace=replace)
    assert contents(tmp_path) == before
    write(tmp_path, 1, replace=replace)
    assert [path for path in contents(tmp_path) if path.startswith(".")] == []


def test_new_folders_above_the_repository_are_removed_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), written_aside(entry(), tmp_path / "a" / "b", version=1):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def write_beside(repository: Path, version: int) -> list[Path]:
    """A further version with two graphs; that in floating point is the file of version 1."""
    graph = repository / "pets_classify" / "1" / "model.onnx"
    graphs = {"pets_resize": networks.linear(), "pets_classify": graph}
    made = replace(entry(), graphs=graphs, int8=networks.linear(opset=13))
    check_place(made, repository, version=version, replace=False)
    with written_aside(made, repository, version=version) as aside:
        return put_in_place(aside, repository, name="pets", version=version, replace=False)


def served(repository: Path) -> dict[int, str]:
    """The graphs that a server which is fast at int8 takes, by version."""
    models = Repository(repository, choice=GraphChoice()).read()
    return {version: models["pets_classify"].graph_path(version).name for version in models["pets_classify"].versions}


def test_two_graphs_come_with_their_name_in_the_configuration(tmp_path: Path) -> None:
    write(tmp_path)
    config = tmp_path / "pets_classify" / "config.pbtxt"
    config.chmod(0o640)
    tuned = config.read_text(encoding="utf-8").replace("max_queue_size: 256", "max_queue_size: 7")
    config.write_text(tuned, encoding="utf-8")
    before = contents(tmp_path)
    assert write_beside(tmp_path, 2) == [tmp_path / "pets_classify" / "2"]
    assert served(tmp_path) == {2: "model.int8.onnx"}
    assert config.read_text(encoding="utf-8").startswith(tuned.rstrip())
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    after = contents(tmp_path)
    assert after["pets_classify/2/model.onnx"] == before["pets_classify/1/model.onnx"]
    named = config.read_bytes()
    write_beside(tmp_path, 3)
    assert config.read_bytes() == named  # it is named already
    write(tmp_path, 4)
    assert served(tmp_path) == {4: "model.onnx"}


def test_two_graphs_land_wholly_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration is the last that changes; what comes after it takes it back."""
    write(tmp_path)
    before = contents(tmp_path)
    naming = writing._name_int8

    def stopped(*arguments: Any) -> None:
        naming(*arguments)
        assert served(tmp_path) == {2: "model.int8.onnx"}
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_name_int8", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_beside(tmp_path, 2)
    assert contents(tmp_path) == before


def test_an_int8_graph_of_another_name_is_not_mixed_with_ours(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "pets_classify" / "1" / "q.onnx").touch()
    with (tmp_path / "pets_classify" / "config.pbtxt").open("a", encoding="utf-8") as config:
        config.write('parameters { key: "int8_model_filename" value { string_value: "q.onnx" } }\n')
    before = contents(tmp_path)
    with pytest.raises(ConfigurationError, match=r"is 'q\.onnx', and what is written now is called model\.int8\.onnx"):
        write_beside(tmp_path, 2)
    assert contents(tmp_path) == before
