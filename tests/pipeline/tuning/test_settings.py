"""What is tried: every way to share the cores, nothing twice, and nothing that the server would not notice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from topfive_pipeline.tuning.settings import Setting, batching, default_instances, runs, shares

NOW: Final = Setting(instances=2, threads=1, max_batch_size=16, delay=0)
OPENVINO: Final[Any] = [("openvino", "fp32"), ("openvino", "bf16")]


@given(st.integers(1, 96))
def test_the_cores_are_shared_and_never_taken_twice(cores: int) -> None:
    found = shares(cores)
    assert len(set(found)) == len(found)
    assert {(cores, 1), (1, cores)} <= set(found)
    assert all(cores / 2 <= instances * threads <= cores for instances, threads in found)


def test_two_cores_and_another_engine() -> None:
    tried = runs(NOW, cores=2, others=OPENVINO[:1])
    assert [(each.engine, each.instances, each.threads) for each in tried] == [
        ("openvino", 2, 1),
        ("onnxruntime", 1, 2),
        ("openvino", 1, 2),
        ("onnxruntime", 1, 1),
        ("openvino", 1, 1),
    ]
    assert {each.max_batch_size for each in tried} == {16}


@given(st.integers(1, 64), st.integers(1, 64), st.booleans())
def test_a_limit_is_tried_only_where_it_changes_something(most: int, pays: int, waits: bool) -> None:
    """Beyond the size that pays no batch goes, so a limit between it and the one that is set would be no other."""
    pays = min(pays, most)
    best = replace(NOW, max_batch_size=most, delay=2000 if waits else 0)
    found = batching(best, pays=pays, least=0)
    assert best not in found
    assert all(each.max_batch_size < pays or each.max_batch_size in (most, 2 * most) for each in found)
    assert (2 * most in {each.max_batch_size for each in found}) == (pays == most)


def test_without_batches_nothing_of_them_is_tried_and_a_sample_of_a_warm_up_bounds_them() -> None:
    assert batching(replace(NOW, delay=None), pays=1, least=0) == []
    assert {each.max_batch_size for each in batching(NOW, pays=16, least=8)} == {8, 16, 32}


def test_the_default_count_fills_the_cores() -> None:
    assert [default_instances(threads, 8) for threads in (1, 2, 3, 16)] == [8, 4, 2, 1]


def test_titles_tell_settings_apart() -> None:
    tried = [NOW, *runs(NOW, cores=4, others=OPENVINO), *batching(NOW, pays=16, least=0)]
    assert len({each.title for each in tried}) == len(tried)
