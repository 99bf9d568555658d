"""Who competes is found, served as it is said, and nothing else is served."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipeline.gating.conftest import warm_contestants
from tests.testkit.serving_process import serving
from topfive.ground.errors import ConfigurationError
from topfive.repository.model_config import parse_model_config
from topfive_pipeline.gating import starting
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.starting import Competing, Wanted, competing, started
from topfive_pipeline.judging.subjects import find


@contextmanager
def answering(candidate: str, live: str, folder: Path, keys: tuple[str, str] = ("", "")) -> Iterator[Pair]:
    wanted = Wanted(candidate=candidate, live=live, repository=folder / "repository", api_keys=keys)
    with started(competing(wanted), lambda _: None, cores=1) as pair:
        yield pair


def test_both_are_versions_of_one_repository(both: Competing, pair: Pair) -> None:
    candidate, live = pair.candidate, pair.live
    assert [(each.title, each.model, each.version) for each in (candidate, live)] == [
        ("pets:3", "pets", 3),
        ("pets:1", "pets", 1),
    ]
    assert both.labels == ("red", "green", "blue")
    assert [subject.title for subject in both.subjects] == ["pets:3", "pets:1"]
    assert candidate.pid != live.pid
    assert candidate.repository is not None
    assert sorted(path.name for path in (candidate.repository / "pets_classify").iterdir()) == ["3", "config.pbtxt"]
    assert candidate.flags == ("--no-grpc", "--cores", "1")


def test_a_running_service_is_asked_who_it_is_and_gets_its_key(pair: Pair, judged_folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("a-key-of-some-length\n", encoding="utf-8")
    with serving("--model-repository", str(judged_folder / "repository"), "--api-keys-file", str(keys)) as service:
        url = f"http://127.0.0.1:{service.port}"
        with answering(url, f"{pair.live.url}/pets:1", judged_folder, ("a-key-of-some-length", "")) as found:
            assert (found.candidate.model, found.candidate.version) == ("pets", 3)
            assert "a-key" not in repr(found.candidate)
            assert (found.live.version, found.live.repository) == (1, None)
        with (
            pytest.raises(ConfigurationError, match=r"answers 401 .*; set GATE_API_KEY"),
            answering(url, url, judged_folder),
        ):
            pass


def test_of_running_services_no_labels_are_known(pair: Pair, judged_folder: Path) -> None:
    wanted = Wanted(candidate=pair.live.url, live=pair.live.url, repository=judged_folder)
    assert (competing(wanted).subjects, competing(wanted).labels) == ([], ())


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ("http://", "is no address of a service; say http://host:port"),
        ("http://here:1/a/b", "is no address of a service"),
        ("http://here:1/pets:0", "is no address of a service"),
        ("http://127.0.0.1:9/pets", "does not answer at http://127.0.0.1:9"),
        ("LIVE/dogs", r"/dogs answers 404 to an image: .*dogs"),
        ("pets:9", "'pets' has no version 9"),
        ("pets@int8", "its graph is not quantised"),
    ],
)
def test_who_cannot_compete_is_said(candidate: str, words: str, pair: Pair, judged_folder: Path) -> None:
    said = candidate.replace("LIVE", pair.live.url)
    with pytest.raises(ConfigurationError, match=words), answering(said, said, judged_folder):
        pass


def test_a_version_is_not_held_against_itself(pair: Pair, judged_folder: Path) -> None:
    """A gate of it would always say yes, so a wrong name in a script would let everything through."""
    same = f"{judged_folder}/repository/pets:3"
    with pytest.raises(ConfigurationError, match="pets:3 are the same version; name the one that wants to go live"):
        competing(Wanted(candidate="pets", live=same, repository=judged_folder / "repository"))
    with (
        pytest.raises(ConfigurationError, match=r"/pets and .*/pets:1 are the same version"),
        answering(f"{pair.live.url}/pets", f"{pair.live.url}/pets:1", judged_folder),
    ):
        pass


def test_the_server_takes_the_graph_that_is_named_of_two(tmp_path: Path, repository: Path) -> None:
    """The copy of a version without an int8 graph names none; of one with both, a flag says which."""
    copied = shutil.copytree(repository, tmp_path / "copied")
    shutil.copytree(copied / "efficientnet_lite0_classify" / "1", copied / "efficientnet_lite0_classify" / "2")
    (copied / "efficientnet_lite0_classify" / "2" / "model.int8.onnx").unlink()
    one, two, other = find(
        [f"{copied}/efficientnet_lite0:{way}" for way in ("1@fp32", "1@int8", "2@openvino-fp32")], copied
    )
    assert starting._precision(one.classify) == ("--precision", "fp32")
    assert starting._precision(two.classify) == ("--precision", "int8")
    assert starting._precision(other.classify) == ()
    written = tmp_path / "written"
    written.mkdir()
    starting._write(other, written)
    text = (written / "efficientnet_lite0_classify" / "config.pbtxt").read_text(encoding="utf-8")
    config = parse_model_config(text, name="efficientnet_lite0_classify", where="")
    assert (config.engine, config.precision, config.int8_filename) == ("openvino", "fp32", "")


def test_a_version_that_a_policy_and_a_step_leave_out_is_served(judged_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(judged_folder / "repository", tmp_path / "repository")
    with (folder / "pets_classify" / "config.pbtxt").open("a", encoding="utf-8") as file:
        file.write("version_policy { specific { versions: [ 2 ] } }\n")
    ensemble = folder / "pets" / "config.pbtxt"
    text = ensemble.read_text(encoding="utf-8")
    named = text.replace("model_version: -1", "model_version: 2").replace("model_version: 2", "model_version: 1", 1)
    ensemble.write_text(named, encoding="utf-8")
    with warm_contestants(), answering("pets:1", "pets", tmp_path) as found:
        assert [each.version for each in (found.candidate, found.live)] == [1, 2]
