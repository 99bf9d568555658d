"""What lies in the model repository is found as on Triton; what cannot be served is refused by its path."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testkit.baselines import BASE
from tests.testkit.serving_process import ROOT
from tests.testkit.stored_models import read_repository
from topfive.ground.errors import ConfigurationError, UnknownModel
from topfive.repository.baseline import BASELINE, text_of
from topfive.repository.graph_choice import GraphChoice
from topfive.repository.reading import Repository, check_some_int8

REPOSITORY: Final = Path(__file__).parents[2] / "model_repository"
CONFIG: Final = """
    backend: "onnxruntime"
    max_batch_size: 4
    input { name: "image" data_type: TYPE_UINT8 dims: [ 8, 8, 3 ] }
    output { name: "classes" data_type: TYPE_STRING dims: [ 5 ] }
"""
ENSEMBLE: Final = CONFIG.replace("onnxruntime", "ensemble") + 'ensemble_scheduling { step { model_name: "cat" } }'


def write_model(
    repository: Path,
    name: str = "cat",
    *,
    config: str = CONFIG,
    versions: tuple[str, ...] = ("1",),
    graph: str = "model.onnx",
) -> Path:
    """Write a model whose graphs are empty files; no graphs at all if `graph` is empty."""
    folder = repository / name
    for version in versions:
        (folder / version).mkdir(parents=True)
        if graph:
            (folder / version / graph).touch()
    folder.mkdir(exist_ok=True)
    (folder / "config.pbtxt").write_text(config, encoding="utf-8")
    return folder


def test_the_committed_repository_is_whole() -> None:
    models = read_repository(REPOSITORY)
    assert sorted(models) == ["efficientnet_lite0", "efficientnet_lite0_classify", "efficientnet_lite0_resize"]
    assert all(model.versions == (1,) for model in models.values())
    assert [step.model for step in models["efficientnet_lite0"].config.steps] == [
        "efficientnet_lite0_resize",
        "efficientnet_lite0_classify",
    ]


def test_models_are_found_with_their_versions_and_graphs(tmp_path: Path) -> None:
    policy = "version_policy { all {} }"
    write_model(tmp_path, "cat", config=CONFIG + policy, versions=("10", "9", "2"))
    write_model(tmp_path, "dog", config=CONFIG + 'default_model_filename: "dog.onnx"', graph="dog.onnx")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").touch()
    models = read_repository(tmp_path)
    assert list(models) == ["cat", "dog"]
    assert models["cat"].versions == (2, 9, 10)
    assert models["cat"].graph_path(9) == tmp_path / "cat" / "9" / "model.onnx"
    assert models["dog"].graph_path(1) == tmp_path / "dog" / "1" / "dog.onnx"


def test_an_ensemble_needs_a_version_but_no_graph(tmp_path: Path) -> None:
    write_model(tmp_path, config=ENSEMBLE, graph="")
    assert read_repository(tmp_path)["cat"].versions == (1,)


@pytest.mark.parametrize("odd", ["v2", "02", "0", "-2", "1.5", "\N{FULLWIDTH DIGIT TWO}", "2 ", "latest", "+2"])
def test_only_plain_numbers_are_versions(tmp_path: Path, odd: str) -> None:
    write_model(tmp_path, config=CONFIG + "version_policy { all {} }", versions=("1", odd))
    assert read_repository(tmp_path)["cat"].versions == (1,)


def test_a_file_is_no_version(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "2").touch()
    assert read_repository(tmp_path)["cat"].versions == (1,)


def test_only_the_chosen_versions_need_their_graphs(tmp_path: Path) -> None:
    folder = write_model(tmp_path, versions=("1", "2", "3"))
    (folder / "2" / "model.onnx").unlink()
    assert read_repository(tmp_path)["cat"].versions == (3,)


@given(st.sets(st.integers(1, 10**9), min_size=1, max_size=6))
def test_the_latest_version_is_the_highest_number(tmp_path_factory: pytest.TempPathFactory, versions: set[int]) -> None:
    """Of the number, not of the name: 10 comes after 9."""
    repository = tmp_path_factory.mktemp("repository")
    write_model(repository, versions=tuple(map(str, versions)))
    assert read_repository(repository)["cat"].versions == (max(versions),)


def refusal(repository: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_repository(repository)
    return str(caught.value)


def test_a_repository_that_is_not_there(tmp_path: Path) -> None:
    message = refusal(tmp_path / "gone")
    assert str(tmp_path / "gone") in message
    assert "TOPFIVE_MODEL_REPOSITORY" in message


def test_a_repository_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refusal(tmp_path / "file")


def test_a_repository_without_models(tmp_path: Path) -> None:
    (tmp_path / "cat" / "1").mkdir(parents=True)
    assert "config.pbtxt" in refusal(tmp_path)


def test_a_graph_that_is_missing(tmp_path: Path) -> None:
    write_model(tmp_path, graph="other.onnx")
    assert str(tmp_path / "cat" / "1" / "model.onnx") in refusal(tmp_path)


@pytest.mark.parametrize(
    ("policy", "versions"),
    [("", ()), ("", ("v1",)), ("version_policy { specific { versions: 2 } }", ("1", "3"))],
    ids=["no folder", "no version folder", "none of the specific"],
)
def test_a_model_none_of_whose_versions_is_chosen(tmp_path: Path, policy: str, versions: tuple[str, ...]) -> None:
    write_model(tmp_path, config=CONFIG + policy, versions=versions)
    message = refusal(tmp_path)
    assert str(tmp_path / "cat") in message
    assert "version_policy" in message


@pytest.mark.parametrize("config", ["max_batch_size: x", "", CONFIG + 'name: "dog"', CONFIG + "response_cache {}"])
def test_a_configuration_that_cannot_be_served_is_named_by_its_path(tmp_path: Path, config: str) -> None:
    write_model(tmp_path, config=config)
    assert str(tmp_path / "cat" / "config.pbtxt") in refusal(tmp_path)


def test_a_configuration_that_is_not_text(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "config.pbtxt").write_bytes(CONFIG.encode() + b"# caf\xe9\n")
    assert str(tmp_path / "cat" / "config.pbtxt") in refusal(tmp_path)


def test_a_configuration_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "cat" / "config.pbtxt").mkdir(parents=True)
    assert str(tmp_path / "cat" / "config.pbtxt") in refusal(tmp_path)


# Looking again


def test_what_begins_with_a_dot_is_not_looked_at(tmp_path: Path) -> None:
    """So that a model or a version can be written aside and then renamed."""
    write_model(tmp_path, "cat", config=CONFIG + "version_policy { all {} }")
    write_model(tmp_path, ".dog")
    (tmp_path / "cat" / ".2").mkdir()
    before = read_repository(tmp_path)
    assert list(before) == ["cat"]
    (tmp_path / "cat" / "1" / ".model.onnx.part").touch()
    assert read_repository(tmp_path) == before


def test_a_model_is_the_same_until_something_of_it_changes(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    states = [read_repository(tmp_path)["cat"]]

    def is_new() -> bool:
        states.append(read_repository(tmp_path)["cat"])
        return states.count(states[-1]) == 1

    assert not is_new()
    (folder / "notes.txt").touch()
    assert not is_new()
    (folder / "1" / "model.onnx").write_bytes(b"longer")
    assert is_new()
    (folder / "1" / ".new").write_bytes(b"other.")
    (folder / "1" / ".new").replace(folder / "1" / "model.onnx")
    assert is_new()
    (folder / "1" / "weights").touch()
    assert is_new()
    (folder / "config.pbtxt").write_text(CONFIG + "# a comment", encoding="utf-8")
    assert is_new()
    (folder / "2").mkdir()
    (folder / "2" / "model.onnx").touch()
    assert is_new()


@pytest.mark.parametrize("change", ["longer", "gone"])
def test_a_change_since_the_reading_is_noticed(tmp_path: Path, change: str) -> None:
    folder = write_model(tmp_path)
    model = read_repository(tmp_path)["cat"]
    model.check_unchanged(1)
    if change == "longer":
        (folder / "1" / "model.onnx").write_bytes(b"longer")
    else:
        (folder / "1" / "model.onnx").unlink()
        (folder / "1").rmdir()
    with pytest.raises(ConfigurationError, match=r"cat/1/model\.onnx was changed while it was being loaded"):
        model.check_unchanged(1)


def test_a_survey_tells_of_each_model_by_itself(tmp_path: Path) -> None:
    """What cannot be read does not hide the others; a folder that once was a model still is one."""
    write_model(tmp_path, "broken", config="max_batch_size: x")
    write_model(tmp_path, "whole")
    for name in ("lost", "notes"):
        (tmp_path / name).mkdir()
    found = Repository(tmp_path).survey(known=["lost", "removed", "whole"])
    assert list(found) == ["broken", "lost", "whole"]
    assert found["whole"] == Repository(tmp_path).read_with_steps("whole")["whole"]
    for name in ("broken", "lost"):
        error = found[name]
        assert isinstance(error, ConfigurationError)
        assert str(tmp_path / name / "config.pbtxt") in str(error)


def test_a_repository_that_cannot_be_surveyed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ConfigurationError, match=re.escape(str(folder))):
            Repository(folder).survey()


def test_an_ensemble_is_read_with_its_steps(tmp_path: Path) -> None:
    """As far as they are there."""
    write_model(tmp_path, "pet", config=ENSEMBLE, graph="")
    assert list(Repository(tmp_path).read_with_steps("pet")) == ["pet"]
    write_model(tmp_path, "cat")
    write_model(tmp_path, "dog")
    assert list(Repository(tmp_path).read_with_steps("pet")) == ["pet", "cat"]
    (tmp_path / "cat" / "config.pbtxt").write_text("max_batch_size: x", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cat"):
        Repository(tmp_path).read_with_steps("pet")


@pytest.mark.parametrize("name", ["dog", "", ".", "..", "../other", "cat/1", "/", "notes"])
def test_what_is_no_model_of_the_repository_cannot_be_read(tmp_path: Path, name: str) -> None:
    write_model(tmp_path / "repository", "cat")
    write_model(tmp_path, "other")
    (tmp_path / "repository" / "notes").mkdir()
    with pytest.raises(UnknownModel):
        Repository(tmp_path / "repository").read_with_steps(name)


# As disks have them


def test_an_ensemble_needs_no_version_folder(tmp_path: Path) -> None:
    """It would be empty, and neither git nor an object store keeps empty folders."""
    write_model(tmp_path, config=ENSEMBLE, versions=())
    assert read_repository(tmp_path)["cat"].versions == (1,)


@pytest.mark.parametrize(
    "written",
    [
        b"\xef\xbb\xbf" + CONFIG.encode(),
        CONFIG.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + CONFIG.replace("\n", "\r\n").encode(),
        CONFIG.replace("\n", "\r").encode(),
    ],
    ids=["byte order mark", "CRLF", "both", "CR"],
)
def test_a_configuration_as_other_systems_write_it_is_the_same(tmp_path: Path, written: bytes) -> None:
    folder = write_model(tmp_path)
    before = read_repository(tmp_path)
    (folder / "config.pbtxt").write_bytes(written)
    assert read_repository(tmp_path) == before


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-16-be"])
def test_a_configuration_that_is_not_utf_8_says_what_it_is(tmp_path: Path, encoding: str) -> None:
    folder = write_model(tmp_path)
    (folder / "config.pbtxt").write_bytes(CONFIG.encode(encoding))
    message = refusal(tmp_path)
    assert str(folder / "config.pbtxt") in message
    assert "UTF-" in message
    assert message.endswith("save it as UTF-8")


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\xef\xbb\xbf\n"])
def test_a_configuration_of_nothing_is_said_to_be_empty(tmp_path: Path, data: bytes) -> None:
    folder = write_model(tmp_path)
    (folder / "config.pbtxt").write_bytes(data)
    assert f"{folder / 'config.pbtxt'}: it is empty" in refusal(tmp_path)


def test_a_byte_that_is_not_utf_8_is_shown_with_its_line(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "config.pbtxt").write_bytes(b"# one\n# two\n# caf\xe9\n" + CONFIG.encode())
    assert "byte 0xe9 in line 3; save it as UTF-8" in refusal(tmp_path)


def test_a_configuration_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    with (folder / "config.pbtxt").open("wb") as file:
        file.truncate(1 << 40)
    assert "longer than" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_configuration_that_is_no_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    """A pipe that is opened waits for a writer, for ever."""
    folder = write_model(tmp_path)
    (folder / "config.pbtxt").unlink()
    if kind == "pipe":
        os.mkfifo(folder / "config.pbtxt")
    else:
        (folder / "config.pbtxt").symlink_to("gone")
    message = refusal(tmp_path)
    assert str(folder / "config.pbtxt") in message
    assert kind in message


def test_a_baseline_is_read_with_its_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that cannot be used is told once, and the model is served without it; no version has changed for it."""
    path = write_model(tmp_path) / BASELINE
    repository = Repository(tmp_path)
    without = repository.read()["cat"]
    path.write_text(text_of(BASE), encoding="utf-8")
    found = repository.read()["cat"]
    assert found.baseline == BASE
    assert found != without
    assert found.files == without.files
    assert caplog.records == []
    path.write_text("{}")
    assert [repository.read()["cat"] for _ in range(2)] == [without] * 2
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"left out: '{path}': its format is None")
    assert repository.read_with_steps("cat") == {"cat": without}


def test_what_is_no_model_is_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Until it is gone and comes back; what belongs beside models and versions is not told at all."""
    folder = write_model(tmp_path)
    odd = ["lost+found", "__MACOSX", "@eaDir", ".git", "notes", "cat/.3", "cat/@eaDir", "cat/2 (copy)"]
    for name in odd:
        (tmp_path / name).mkdir()
    files = ["README.md", ".DS_Store", "Thumbs.db", "cat/README.md", "cat/.DS_Store"]
    for name in [*files, "SHA256SUMS", "cat/labels.txt"]:
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("gone")
    told = sorted(str(tmp_path / name) for name in [*odd, *files, "pipe", "broken"])
    repository = Repository(tmp_path)

    def lines() -> list[str]:
        paths = sorted(record.getMessage().split("'")[1] for record in caplog.records)
        caplog.clear()
        return paths

    with caplog.at_level("INFO"):
        assert list(repository.read()) == ["cat"]
        assert lines() == told
        repository.survey(known=["cat"])
        repository.read_with_steps("cat")
        repository.survey(known=["cat"])
        assert lines() == []
        (tmp_path / "notes").rmdir()
        repository.survey()
        (tmp_path / "notes").mkdir()
        repository.survey()
        assert lines() == [str(tmp_path / "notes")]
    assert repository.survey()["cat"] == read_repository(tmp_path)["cat"]
    assert folder.exists()


def test_a_thousand_things_left_out_are_not_a_thousand_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_model(tmp_path)
    for number in range(1000):
        (tmp_path / f"{number}.txt").touch()
    with caplog.at_level("INFO"):
        Repository(tmp_path).read()
    assert len(caplog.records) == 101
    assert "900 entries more" in caplog.text


def test_what_systems_leave_in_a_version_folder_is_no_change_of_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    before = read_repository(tmp_path)
    for name in (".DS_Store", "._model.onnx", "Thumbs.db", "desktop.ini"):
        (folder / "1" / name).touch()
    (folder / "1" / "@eaDir").mkdir()
    os.mkfifo(folder / "1" / "pipe")
    (folder / "1" / "loop").symlink_to("loop")
    assert read_repository(tmp_path) == before


def test_a_file_of_other_numbers_and_the_same_contents_is_the_same(tmp_path: Path) -> None:
    """Of another inode, as on FUSE and object stores at every look, and of another time, as after `touch`."""
    graph = write_model(tmp_path) / "1" / "model.onnx"
    repository = Repository(tmp_path)
    before = repository.read()
    for _ in range(3):
        shutil.copy2(graph, graph.with_name(".copy"))
        graph.with_name(".copy").replace(graph)
        before["cat"].check_unchanged(1)
        assert repository.survey() == before
    os.utime(graph, (1e9, 1e9))
    before["cat"].check_unchanged(1)
    assert repository.survey() == before


AS_NOBODY: Final = """
import logging, os, sys
from pathlib import Path
from topfive.ground.errors import TopfiveError
from topfive.repository.graph_choice import GraphChoice
from topfive.repository.reading import Repository, check_some_int8
logging.basicConfig(format="%(levelname)s %(message)s", level="INFO", stream=sys.stdout)
os.setgid(65534), os.setuid(65534)
repository = Repository(Path(sys.argv[1]))
for _ in range(2):
    try:
        print({name: str(model)[:300] for name, model in repository.survey(known=sys.argv[2:]).items()})
    except TopfiveError as error:
        print("refused:", error)
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's are not."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user, and to this one its own folders are open")
    with tempfile.TemporaryDirectory(prefix="topfive-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def looked_at_by_nobody(repository: Path, *known: str) -> str:
    """What an unprivileged process finds there in two looks, with its log."""
    command = [sys.executable, "-c", AS_NOBODY, str(repository), *known]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o644, 0o311])
def test_a_folder_that_may_not_be_entered_holds_no_other_up(shared: Path, mode: int) -> None:
    """Nor one that may be listed only, or entered only; it is told once."""
    write_model(shared, "whole")
    write_model(shared, "closed").chmod(mode)
    (shared / "lost+found").mkdir(mode=0o700)
    said = looked_at_by_nobody(shared)
    assert said.count("{'whole': ") == 2
    assert said.count(f"WARNING left out: '{shared / 'closed'}': it cannot be entered (Permission denied)") == 1
    assert said.count("lost+found") == 1
    assert "refused" not in said


def test_a_served_model_that_may_no_longer_be_entered_is_amiss(shared: Path) -> None:
    write_model(shared, "closed").chmod(0o700)
    said = looked_at_by_nobody(shared, "closed")
    assert said.count("{'closed': ") == 2
    assert "it cannot be entered (Permission denied)" in said


@pytest.mark.parametrize("what", ["config.pbtxt", "1", "1/model.onnx"])
def test_a_part_of_a_model_that_may_not_be_read_is_named(shared: Path, what: str) -> None:
    folder = write_model(shared)
    (folder / what).chmod(0o000)
    said = looked_at_by_nobody(shared)
    assert str(folder / what) in said
    assert "let the service's user read it" in said


def test_a_repository_that_may_not_be_entered(shared: Path) -> None:
    write_model(shared / "models")
    (shared / "models").chmod(0o700)
    said = looked_at_by_nobody(shared / "models")
    assert said.count(f"refused: model repository '{shared / 'models'}'") == 2
    assert "Permission denied" in said


def test_on_triton_an_ensemble_without_its_version_folder_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is served here, and would not be there."""
    write_model(tmp_path, config=ENSEMBLE, versions=())
    repository = Repository(tmp_path, on_triton=True)
    for _ in range(2):
        assert list(repository.survey()) == ["cat"]
    assert caplog.text.count(f"'{tmp_path / 'cat' / '1'}': it is not there; make this folder, empty") == 1


def write_two_graphs(repository: Path, *versions: str) -> Path:
    """A model whose `versions` have an int8 graph beside their own; it has version 1 in any case, and serves all."""
    named = 'parameters { key: "int8_model_filename" value { string_value: "q.onnx" } } version_policy { all {} }'
    folder = write_model(repository, config=CONFIG + named, versions=tuple({"1", *versions}))
    for version in versions:
        (folder / version / "q.onnx").write_bytes(b"int8")
    return folder


def test_the_int8_graph_is_taken_where_there_is_one(tmp_path: Path) -> None:
    folder = write_two_graphs(tmp_path, "2")
    model = Repository(tmp_path, choice=GraphChoice()).read()["cat"]
    assert [model.graph_path(version) for version in (1, 2)] == [folder / "1" / "model.onnx", folder / "2" / "q.onnx"]
    assert model.graphs[1].why_not_int8 == "not q.onnx: this version has none"


def test_who_does_not_ask_for_it_gets_the_graph_in_floating_point(tmp_path: Path) -> None:
    folder = write_two_graphs(tmp_path, "2")
    assert read_repository(tmp_path)["cat"].graph_path(2) == folder / "2" / "model.onnx"


def test_an_int8_graph_does_not_stand_alone(tmp_path: Path) -> None:
    (write_two_graphs(tmp_path, "2") / "2" / "model.onnx").unlink()
    assert f"{Path('2', 'model.onnx')} is missing" in refusal(tmp_path)


def test_an_int8_graph_that_no_version_has_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_two_graphs(tmp_path)
    message = refusal(tmp_path)
    assert message.startswith(f"{folder / 'config.pbtxt'}: parameters int8_model_filename is 'q.onnx'")
    assert f"put it at '{folder / '1' / 'q.onnx'}'" in message
    (folder / "7").mkdir()
    (folder / "7" / "q.onnx").touch()
    (folder / "config.pbtxt").write_text((folder / "config.pbtxt").read_text().replace("all {}", "latest {}"))
    (folder / "7" / "model.onnx").touch()
    (folder / "8").mkdir()
    (folder / "8" / "model.onnx").touch()
    assert read_repository(tmp_path)["cat"].versions == (8,)  # a version that is not served has it


def test_a_change_of_the_int8_graph_is_a_change_of_the_version(tmp_path: Path) -> None:
    folder = write_two_graphs(tmp_path, "2")
    repository = Repository(tmp_path, choice=GraphChoice())
    before = repository.read()["cat"]
    assert repository.read()["cat"] == before
    (folder / "2" / "q.onnx").write_bytes(b"INT8")
    assert repository.read()["cat"].files[2] != before.files[2]
    assert repository.read()["cat"].files[1] == before.files[1]
    (folder / "1" / "q.onnx").touch()
    assert repository.read()["cat"].graph_path(1) == folder / "1" / "q.onnx"


def test_where_int8_is_demanded_some_model_must_be_served_so(tmp_path: Path) -> None:
    write_model(tmp_path, "dog")
    with pytest.raises(ConfigurationError, match=r"no config\.pbtxt names one .* `topfive optimise NAME --as beside`"):
        check_some_int8(read_repository(tmp_path).values())
    write_two_graphs(tmp_path, "2")
    with pytest.raises(ConfigurationError, match=r"from an int8 graph: cat: not q\.onnx: model\.onnx is asked for;"):
        check_some_int8(read_repository(tmp_path).values())
    check_some_int8(Repository(tmp_path, choice=GraphChoice()).read().values())
