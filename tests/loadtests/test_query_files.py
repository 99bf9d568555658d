"""Queries come back from their folder as they were; for the null backend, with what that answers."""

from __future__ import annotations

from pathlib import Path

from loadtests import query_files
from loadtests.queries import NULL_LABEL, Query

QUERIES = [
    Query(
        mix="complex",
        scenario="oip",
        kind="tiny raw",
        path="/v2/models/m/infer",
        headers={"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": "2"},
        body=bytes(range(256)),
        expected="crème brûlée",
    ),
    Query(mix="random", scenario="jpeg", kind="photo", path="/v1/classify", headers={}, body=b"", expected="cup"),
]


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    assert query_files.write(QUERIES, tmp_path / "new") == 2
    assert query_files.read(tmp_path / "new") == QUERIES


def test_of_the_null_backend_its_own_label_is_expected(tmp_path: Path) -> None:
    query_files.write(QUERIES, tmp_path)
    found = query_files.read(tmp_path, null=True)
    assert [query.expected for query in found] == [NULL_LABEL, NULL_LABEL]
    assert [query.body for query in found] == [query.body for query in QUERIES]
