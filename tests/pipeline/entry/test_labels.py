"""Names of classes are read from the files that people have, in the classes' order, or refused with the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.labels import check_count, doubts, labels_in, read_labels


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "cat\ndog\nyak"),
        ("a.txt", "cat\n dog \nyak\n\n"),
        ("labels", b"\xef\xbb\xbfcat\r\ndog\r\nyak\r\n"),
        ("a.txt", "0 cat\n1 dog\n2 yak\n"),  # Teachable Machine
        ("a.txt", "0: cat\n1: dog\n2: yak"),
        ("a.csv", "index,name\n0,cat\n1,dog\n2,yak\n"),
        ("a.csv", "name,id\ndog,1\ncat,0\nyak,2\n"),
        ("a.csv", "class,label\n2,yak\n0,cat\n1,dog\n"),
        ("a.csv", "0,cat\n1,dog\n2,yak"),
        ("a.csv", "0;cat\r\n1;dog\r\n2;yak\r\n\r\n"),
        ("a.tsv", "id\tcount\tname\n0\t7\tcat\n1\t7\tdog\n2\t9\tyak"),
        ("a.csv", "class_id,synset,display_name\n0,n1,cat\n1,n2,dog\n2,n3,yak"),
        ("a.csv", "name\ncat\ndog\nyak"),
        ("a.csv", "cat\ndog\nyak"),
        ("a.json", ["cat", "dog", "yak"]),
        ("a.json", {"0": "cat", "2": "yak", "1": "dog"}),
        ("a.json", {"yak": 2, "cat": 0, "dog": 1}),  # Keras' class_indices
        ("a.json", {"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "yak"]}),  # imagenet_class_index.json
        ("config.json", {"model_type": "vit", "id2label": {"0": "cat", "1": "dog", "2": "yak"}, "label2id": {"a": 0}}),
        ("config.json", {"label2id": {"cat": 0, "dog": 1, "yak": 2}}),
        ("config.json", {"architecture": "a", "pretrained_cfg": {"label_names": ["cat", "dog", "yak"]}}),
        (
            "config.json",
            {"label_names": ["n1", "n2", "n3"], "label_descriptions": {"n1": "cat", "n2": "dog", "n3": "yak"}},
        ),
        ("a.json", {"names": {"0": "cat", "1": "dog", "2": "yak"}, "nc": 3}),
    ],
)
def test_of_each_kind(name: str, content: Any, tmp_path: Path) -> None:
    assert read_labels(write(tmp_path, name, content)) == ["cat", "dog", "yak"]


def test_numbers_are_names_too(tmp_path: Path) -> None:
    for name, content in (("a.txt", "0\n1\n2"), ("a.json", [0, 1, 2]), ("a.json", {"0": 0, "1": 1, "2": 2})):
        assert read_labels(write(tmp_path, name, content)) == ["0", "1", "2"]


def test_names_with_commas_and_numbers_are_kept(tmp_path: Path) -> None:
    assert read_labels(write(tmp_path, "a.csv", '0,"tench, Tinca tinca"\n1,jay')) == ["tench, Tinca tinca", "jay"]
    assert read_labels(write(tmp_path, "a.txt", "7 up\n1 dog")) == ["7 up", "1 dog"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "cat\n\ndog", "line 2 is empty"),
        ("a.txt", "{0: 'cat'}", "begins with '{', .*; save it as JSON"),
        ("a.txt", b"\xff\xfec\0", "UTF-16"),
        ("a.txt", "caf\xe9".encode("latin-1"), "byte 0xe9 in line 1; save it as UTF-8"),
        ("a.txt", "cat\nd\x1bog", "control character"),
        ("a.csv", "0,cat\n2,dog", "class 1 has no name, though 2 has"),
        ("a.csv", "1,cat\n2,dog", "counts classes from 1, and networks count from 0"),
        ("a.csv", "0,cat\n0,dog", "class 0 is there twice, as 'cat' and 'dog'"),
        ("a.csv", "0,cat\n1,", "class 1 has no name, or an empty one"),
        ("a.csv", "0,tench, Tinca\n1,jay", "row 2 has 2 columns and the first 3; a name with a comma needs quotes"),
        ("a.csv", "red,cat\nblue,dog", "no column holds the number"),
        ("a.csv", "0,a,b\n1,c,d", "not clear which are number and name"),
        ("a.csv", '0,"cat\n1,dog', "cannot be read as CSV"),
        ("a.json", {"0": "cat", "5": "dog"}, "class 1, 2, 3, 4 has no name, though 5 has"),
        ("a.json", {"1": "cat", "2": "dog"}, "counts classes from 1"),
        ("a.json", {"cat": 0, "dog": 0}, "class 0 is there twice, as 'cat' and 'dog'"),
        ("a.json", {"0": 1, "1": 0}, "both keys and values are numbers"),
        ("a.json", '{"0": "cat", "0": "dog"}', "'0' stands there twice"),
        ("a.json", ["cat", ""], "class 1 has no name"),
        ("a.json", ["cat", None], "class 1 has no name"),
        ("a.json", [], "it names no class"),
        ("a.json", {}, "has no names of classes: say a list"),
        ("a.json", {"a": "b"}, "has no names of classes"),
        ("a.json", "7", "has no names of classes"),
    ],
)
def test_what_is_wrong_is_refused(name: str, content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_labels(write(tmp_path, name, content))


def test_names_beside_a_preprocessing_are_found(tmp_path: Path) -> None:
    preprocessing = write(tmp_path, "preprocessor_config.json", {"do_resize": True, "size": 224})
    assert labels_in(preprocessing) is None
    write(tmp_path, "config.json", {"id2label": {"0": "cat", "1": "dog"}})
    assert labels_in(preprocessing) == labels_in(str(tmp_path)) == ["cat", "dog"]


@pytest.mark.parametrize("content", [{"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, {"a": 1}, [1], {"num_classes": 9}])
def test_placeholders_and_other_contents_are_no_names(content: Any, tmp_path: Path) -> None:
    assert labels_in(write(tmp_path, "config.json", content)) is None


def test_the_name_of_weights_has_no_names() -> None:
    assert labels_in("torchvision:resnet18") is None


def test_equal_names_and_placeholders_are_doubted() -> None:
    assert doubts(["cat", "dog"]) == []
    assert "'crane' for 0, 2" in doubts(["crane", "dog", "Crane"])[0]
    assert "placeholders" in doubts(["LABEL_0", "LABEL_1"])[0]


@pytest.mark.parametrize(
    ("count", "classes", "message"),
    [
        (1000, 1001, r"the network puts out 1001 classes, a.txt names 1000; is there a background class\?"),
        (1001, 1000, "names 1001; is '0' a heading or a background class"),
        (5, 10, "is it the file of another network"),
    ],
)
def test_another_number_of_names_than_classes_is_refused(count: int, classes: int, message: str) -> None:
    labels = [str(number) for number in range(count)]
    with pytest.raises(ConfigurationError, match=message):
        check_count(labels, classes, source="a.txt")
    check_count(labels, count, source="a.txt")
