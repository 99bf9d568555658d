"""`topfive check` passes what is right, names what is broken, and warns of a preprocessing that another beats."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.pipeline import colours, importing
from tests.pipeline.conftest import no_servers, warm_servers
from tests.pipeline.graphs import networks
from tests.pipeline.importing import LABELS, edit, imported, wanted
from tests.testkit import tiny_models
from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import dot_products_of_bytes
from topfive_pipeline import checker
from topfive_pipeline.checker import Checked, check
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.graphs import resize
from topfive_pipeline.importer import plan
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo, read_photos, shipped


@pytest.fixture(autouse=True)
def warm_all() -> Iterator[None]:
    with warm_servers():
        yield


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    folder = tmp_path_factory.mktemp("proven")
    with no_servers():
        imported(wanted(folder), folder / "repository", small_photos)
    return folder / "repository"


@pytest.fixture
def pets(proven: Path, tmp_path: Path) -> Path:
    """A repository of one imported model, to break."""
    return Path(shutil.copytree(proven, tmp_path / "pets"))


def checked(repository: Path, photos: list[Photo]) -> dict[str, Checked]:
    return {each.name: each for each in check(repository, photos, progress=lambda _: None)}


def failure(repository: Path, photos: list[Photo], name: str = "pets") -> tuple[str, str]:
    """Of a repository that does not hold: nothing is started for it."""
    found = checked(repository, photos)
    assert "all of them" not in found
    first = found[name].proof.failure
    assert first is not None
    return first.step, first.said


def test_the_committed_repository_holds(repository: Path) -> None:
    found = checked(repository, shipped())
    assert list(found) == ["efficientnet_lite0", "all of them"]
    has_int8 = any(repository.glob("efficientnet_lite0_classify/1/model.int8.onnx"))
    steps = ["resize", "answers", *(["int8"] if has_int8 else [])]
    assert [finding.step for finding in found["efficientnet_lite0"].proof.findings] == steps
    left_out = {"int8"} if not dot_products_of_bytes() else set()
    findings = [finding for each in found.values() for finding in each.proof.findings]
    assert {finding.step for finding in findings if not finding.passed} <= left_out
    said = found["efficientnet_lite0"].proof.findings[0].said
    assert said.startswith("images of all sizes give [224, 224, 3]; at most ")
    assert said.endswith("grey levels from Pillow's")


def test_an_imported_repository_holds(pets: Path, small_photos: list[Photo]) -> None:
    found = checked(pets, small_photos)
    assert all(each.proof.failure is None and each.warnings == () for each in found.values())
    assert found["all of them"].proof.findings[0].said == "the server loads the whole repository"


def test_models_made_by_hand_hold_without_provenance(pets: Path, small_photos: list[Photo]) -> None:
    for graph in ("pets_resize", "pets_classify"):
        edit(graph_path(pets, graph, 1), lambda model: model.ClearField("metadata_props"))
    (pets / "pets" / "labels.txt").unlink()
    found = checked(pets, small_photos)
    assert (
        found["pets"].proof.findings[0].said == "images of all sizes give [4, 4, 3]; does not state its preprocessing"
    )
    assert found["all of them"].proof.failure is None


def test_a_classifier_without_an_ensemble_holds(pets: Path, small_photos: list[Photo]) -> None:
    shutil.rmtree(pets / "pets")
    shutil.rmtree(pets / "pets_resize")
    found = checked(pets, small_photos)
    assert list(found) == ["pets_classify", "all of them"]
    assert found["pets_classify"].proof.findings[0].passed is None
    assert found["pets_classify"].proof.findings[1].passed is True


def test_the_newest_version_is_checked(pets: Path, small_photos: list[Photo]) -> None:
    folder = graph_path(pets, "pets_classify", 2)
    folder.parent.mkdir()
    shutil.copyfile(graph_path(pets, "pets_classify", 1), folder)
    edit(folder, _without_softmax)
    assert "so they are no probabilities" in failure(pets, small_photos)[1]


# ---- broken ---------------------------------------------------------------------------------------------------------


def _with_crop(repository: Path, crop: tuple[int, int]) -> None:
    rules = Preprocessing(resize="squash", resize_to=crop, crop=crop, scale=1.0, mean=(0.0,), std=(1.0,))
    graph_path(repository, "pets_resize", 1).write_bytes(resize.build(rules, name="x").SerializeToString())


def _without_softmax(model: Any) -> None:
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    softmax.op_type = "Identity"
    softmax.ClearField("attribute")


def test_crops_of_another_size_than_the_classifier_takes(pets: Path, small_photos: list[Photo]) -> None:
    """The configuration says 4 x 4, and the graph makes 5 x 4: the server would answer 500 to every request."""
    _with_crop(pets, (5, 4))
    step, said = failure(pets, small_photos)
    assert step == "resize"
    assert said.startswith("cat.png, ")
    assert said.endswith("it gives uint8 [5, 4, 3], and the classifier takes [4, 4, 3]")


def test_configurations_that_do_not_fit(pets: Path, small_photos: list[Photo]) -> None:
    config = pets / "pets_classify" / "config.pbtxt"
    config.write_text(config.read_text(encoding="utf-8").replace("4, 4, 3", "5, 5, 3"), encoding="utf-8")
    step, said = failure(pets, small_photos, "repository")
    assert step == "configuration"
    assert "build the two for one size" in said


def test_a_configuration_that_cannot_be_read_and_the_others_are_checked(pets: Path, small_photos: list[Photo]) -> None:
    (pets / "dogs").mkdir()
    (pets / "dogs" / "config.pbtxt").write_text("name: [", encoding="utf-8")
    found = checked(pets, small_photos)
    assert found["dogs"].proof.failure is not None
    assert found["dogs"].proof.failure.step == "configuration"
    assert found["pets"].proof.failure is None
    assert "all of them" not in found


def test_labels_that_are_not_those_of_the_graph(pets: Path, small_photos: list[Photo]) -> None:
    (pets / "pets" / "labels.txt").write_text("cat\nbee\nant\n", encoding="utf-8")
    step, said = failure(pets, small_photos)
    assert step == "answers"
    assert "which is not that line of labels.txt" in said


def test_scores_that_are_no_probabilities(pets: Path, small_photos: list[Photo]) -> None:
    edit(graph_path(pets, "pets_classify", 1), _without_softmax)
    step, said = failure(pets, small_photos)
    assert step == "answers"
    assert "so they are no probabilities" in said


def test_a_resize_graph_that_does_not_do_what_it_states(pets: Path, small_photos: list[Photo]) -> None:
    path = graph_path(pets, "pets_resize", 1)
    stated = onnx.load(path).metadata_props
    rules = plan(wanted(pets.parent)).rules
    model = resize.build(replace(rules, interpolation="nearest"), name="pets_resize")
    model.metadata_props.extend(stated)
    path.write_bytes(model.SerializeToString())
    step, said = failure(pets, small_photos)
    assert step == "resize"
    assert "grey levels from the preprocessing that the graph states" in said


def test_graphs_that_cannot_be_run_or_loaded(tmp_path: Path, pets: Path, small_photos: list[Photo]) -> None:
    """One fails on bright images, the other is no graph: both are findings, no traceback."""
    step, said = failure(tiny_models.write_tiny_repository(tmp_path / "tiny"), small_photos, "tiny")
    assert step == "graphs"
    assert "onnxruntime cannot run this graph on uint8 [1, 2, 2, 3]" in said
    graph_path(pets, "pets_classify", 1).write_bytes(b"none")
    step, said = failure(pets, small_photos)
    assert step == "graphs"
    assert "onnxruntime cannot load this graph" in said


def test_images_of_a_batch_that_change_each_other(pets: Path, small_photos: list[Photo]) -> None:
    def mix(model: Any) -> None:
        """Of several images the scores are no numbers: the root of what lies below 0."""
        (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
        place, scores = list(model.graph.node).index(softmax), softmax.input[0]
        steps = [("ReduceMean", [scores]), ("Sub", [scores, "0"]), ("Abs", ["1"]), ("Neg", ["2"]), ("Sqrt", ["3"])]
        for number, (name, inputs) in enumerate([*steps, ("Add", [scores, "4"])]):
            axes = {"axes": [0]} if name == "ReduceMean" else {}
            model.graph.node.insert(place + number, onnx.helper.make_node(name, inputs, [str(number)], **axes))
        softmax.input[0] = "5"

    edit(graph_path(pets, "pets_classify", 1), mix)
    step, said = failure(pets, small_photos)
    assert step == "answers"
    assert "a batch differs by nan from each alone" in said


def test_a_folder_without_models_is_refused(tmp_path: Path, small_photos: list[Photo]) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError):
            check(folder, small_photos, progress=lambda _: None)


# ---- preprocessings that another beats ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    return read_photos(colours.write_photos(tmp_path_factory.mktemp("colours") / "photos", 100))


def served_with(folder: Path, small_photos: list[Photo], **wrong: Any) -> Path:
    """A repository with the network that tells colours apart, imported with its rules but for what is `wrong`."""
    rules = replace(colours.RULES, **wrong)
    said: Choices = {
        name: Choice(getattr(rules, name), "said", f"--{name}")
        for name in Preprocessing.__dataclass_fields__
        if getattr(rules, name) is not None
    }
    given = wanted(folder, colours.network(), said=said, labels=colours.LABELS)
    with no_servers():
        assert imported(given, folder / "repository", small_photos).proof.failure is None
    return folder / "repository"


def test_the_right_preprocessing_gets_no_warning(
    tmp_path: Path, small_photos: list[Photo], labelled: list[Photo]
) -> None:
    found = checked(served_with(tmp_path, small_photos), labelled)
    assert found["pets"].warnings == ()
    (said,) = (finding.said for finding in found["pets"].proof.findings if finding.step == "preprocessing")
    assert "of 100 photos, loss " in said
    assert said.endswith("no customary preprocessing is clearly better")


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "bgr"},
        {"mean": (0.0,), "std": (1.0,)},
        {"resize": "squash", "resize_to": (8, 8), "short_side": None},
    ],
    ids=["bgr", "0..1", "squash"],
)
def test_a_wrong_preprocessing_is_warned_of_and_the_better_one_named(
    wrong: dict[str, Any], tmp_path: Path, small_photos: list[Photo], labelled: list[Photo]
) -> None:
    """It is served, and looks right: so it holds, with a warning."""
    found = checked(served_with(tmp_path, small_photos, **wrong), labelled)
    assert found["pets"].proof.failure is None
    (warning,) = found["pets"].warnings
    assert warning.startswith("the preprocessing '")
    assert "is clearly better for this network: loss " in warning
    assert "import it again with the preprocessing that it was trained with" in warning
    assert "BGR" not in warning
    assert "squash" not in warning


def test_few_or_unlabelled_photos_compare_nothing(
    tmp_path: Path, small_photos: list[Photo], labelled: list[Photo]
) -> None:
    repository = served_with(tmp_path, small_photos, colour="bgr")
    for photos in (labelled[:49], small_photos):
        found = checked(repository, photos)
        assert [finding.step for finding in found["pets"].proof.findings] == ["resize", "answers"]
        assert found["pets"].warnings == ()


def test_a_grey_network_is_compared_with_grey_preprocessings(
    tmp_path: Path, small_photos: list[Photo], labelled: list[Photo]
) -> None:
    given = wanted(tmp_path, networks.linear(shape="N,1,4,4"), said=importing.said(colour="grey"), labels=LABELS)
    with no_servers():
        imported(given, tmp_path / "repository", small_photos)
    finding = checked(tmp_path / "repository", labelled)["pets"].proof.findings[-1]
    assert (finding.step, finding.passed) == ("preprocessing", True)


def test_a_graph_that_cannot_be_cut_is_not_compared_and_holds(
    tmp_path: Path, small_photos: list[Photo], labelled: list[Photo]
) -> None:
    def twice(model: Any) -> None:
        """A second TopK: the probabilities of all classes are ambiguous."""
        (topk,) = (node for node in model.graph.node if node.op_type == "TopK")
        again = model.graph.node.add()
        again.CopyFrom(topk)
        again.name = "again"
        again.output[:] = ["unused values", "unused indices"]

    repository = served_with(tmp_path, small_photos)
    edit(graph_path(repository, "pets_classify", 1), twice)
    found = checked(repository, labelled)["pets"]
    assert found.proof.failure is None
    assert found.proof.findings[-1].passed is None
    assert "cannot be compared with others: the graph has 2 TopK" in found.proof.findings[-1].said


# ---- two graphs -----------------------------------------------------------------------------------------------------


def _with_second(repository: Path, change: Callable[[Any], None]) -> None:
    """Put the graph beside itself, changed, as its int8 graph."""
    path = graph_path(repository, "pets_classify", 1)
    beside = path.with_name("model.int8.onnx")
    shutil.copyfile(path, beside)
    edit(beside, change)
    with (repository / "pets_classify" / "config.pbtxt").open("a", encoding="utf-8") as config:
        config.write('parameters { key: "int8_model_filename" value { string_value: "model.int8.onnx" } }\n')


def _negated(model: Any) -> None:
    """What was least probable is most probable."""
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    place = list(model.graph.node).index(softmax)
    negative = onnx.helper.make_node("Neg", [softmax.input[0]], ["negated"], name="negate")
    softmax.input[0] = "negated"
    nodes = [*model.graph.node[:place], negative, *model.graph.node[place:]]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "dot_products_of_bytes", lambda: ("avx512_vnni",))


def test_both_graphs_of_a_version_are_checked(pets: Path, small_photos: list[Photo], fast: None) -> None:
    _with_second(pets, lambda model: None)
    findings = checked(pets, small_photos)["pets"].proof.findings
    assert [(each.step, each.passed) for each in findings] == [("resize", True), ("answers", True), ("int8", True)]
    assert findings[-1].said.startswith("model.int8.onnx: the same first label as model.onnx on ")
    assert findings[-1].said.endswith("whose probability moves by at most 0.000")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_negated, "is it of this network? `topfive optimise NAME --as beside` makes one"),
        (_without_softmax, "so they are no probabilities"),
    ],
)
def test_an_int8_graph_that_is_wrong_is_named(
    change: Callable[[Any], None], said: str, pets: Path, small_photos: list[Photo], fast: None
) -> None:
    _with_second(pets, change)
    step, found = failure(pets, small_photos)
    assert step == "int8"
    assert found.startswith("model.int8.onnx: ")
    assert said in found


def test_where_no_server_takes_it_an_int8_graph_is_not_run(
    pets: Path, small_photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dot products of bytes its sums overflow."""
    monkeypatch.setattr(checker, "dot_products_of_bytes", tuple)
    _with_second(pets, _negated)
    finding = checked(pets, small_photos)["pets"].proof.findings[-1]
    assert (finding.step, finding.passed) == ("int8", None)
