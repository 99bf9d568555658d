from __future__ import annotations

from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import check_name, folders, graph_path


def test_a_model_has_three_folders_the_ensemble_last() -> None:
    assert folders("pets") == ("pets_resize", "pets_classify", "pets")
    assert graph_path(Path("models"), "pets_resize", 3) == Path("models/pets_resize/3/model.onnx")


@pytest.mark.parametrize("name", ["a", "7", "Resnet-18", "a.b_c-d", "x" * 100])
def test_names_that_can_be_folders_and_parts_of_urls(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "_a", "-a", "a b", "a/b", "a\\b", "ä", "a\n", "a%20", "x" * 101])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a name has letters, digits"):
        check_name(name)
