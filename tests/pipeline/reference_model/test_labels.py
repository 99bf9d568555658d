"""A label names one class, and each class by its place in the list."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from topfive_pipeline.entry.labels import IMAGENET, read_labels
from topfive_pipeline.reference_model import labels

pytestmark = pytest.mark.untraced


@pytest.fixture
def committed(repository: Path) -> list[str]:
    return (repository / "efficientnet_lite0" / "labels.txt").read_text(encoding="utf-8").splitlines()


def test_a_thousand_names_none_twice(committed: list[str]) -> None:
    """No two classes share a name, not even when letter case is ignored, and none is blank."""
    assert len(committed) == 1000
    assert len({name.casefold() for name in committed}) == 1000
    assert all(name and name == name.strip() for name in committed)


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (0, "tench"),
        (1, "goldfish"),
        (134, "crane (large long-necked wading bird)"),
        (264, "Cardigan (Cardigan Welsh corgi)"),
        (281, "tabby"),
        (474, "cardigan (knitted jacket)"),
        (517, "crane (lifts and moves heavy objects)"),
        (638, "maillot (tights)"),
        (639, "maillot (tank suit)"),
        (999, "toilet tissue"),
    ],
)
def test_order_and_shared_names(committed: list[str], index: int, name: str) -> None:
    """The order is that of ILSVRC-2012, and each of the shared names says which one is meant."""
    assert committed[index] == name


def test_committed_labels_are_those_of_the_wheel(committed: list[str]) -> None:
    """labels.txt is what the rule makes of timm's files."""
    if find_spec("timm") is None:  # found, never imported: it would want torchvision
        pytest.skip("timm, of the extra `export`, is not installed")
    assert labels.load() == committed


def test_an_import_names_imagenets_classes_alike(committed: list[str]) -> None:
    """`--labels imagenet-1k` has a file of its own, for the model that comes along may be elsewhere."""
    assert read_labels(IMAGENET) == committed


def test_a_name_of_its_own_stays_as_it_is() -> None:
    """Only shared names are added to; nobody reads 'tench (freshwater fish)'."""
    assert labels.unambiguous([(["tench", "Tinca tinca"], "a fish"), (["cock"], "a bird")]) == ["tench", "cock"]


def test_shared_names_take_the_next_lemma_else_the_definition() -> None:
    """Letter case does not tell two names apart; the definition is cut where its second thought begins."""
    classes = [(["Jay"], "crested bird of the woods"), (["jay", "jaywalker"], "one who crosses"), (["owl"], "a bird")]
    assert labels.unambiguous(classes) == ["Jay (crested bird)", "jay (jaywalker)", "owl"]


def test_names_that_cannot_be_told_apart_are_refused() -> None:
    """Better no export than a label that means two classes."""
    with pytest.raises(ValueError, match=r"more than one class: crane \(a bird\)"):
        labels.unambiguous([(["crane"], "a bird; tall"), (["crane"], "a bird; small")])
