from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.pipeline.graphs import networks
from topfive_pipeline.entry.provenance import properties_of, rules_properties, sha256, stamp, stamped_rules
from topfive_pipeline.preprocessing.candidates import candidates
from topfive_pipeline.preprocessing.rules import Preprocessing

ALL = [*candidates(crop=(224, 224)), *candidates(crop=(48, 192)), *candidates(crop=(28, 28), channels=1)]


def test_properties_are_in_the_order_of_their_names_and_replace_what_was_there() -> None:
    model = networks.linear()
    stamp(model, {"x": "1"})
    stamp(model, {"b": "2", "a": "3"})
    assert list(properties_of(model).items()) == [("a", "3"), ("b", "2")]
    assert (model.producer_name, model.producer_version) == ("topfive", "")


@pytest.mark.parametrize("rules", [rules for _, rules in ALL], ids=[f"{rules.crop} {name}" for name, rules in ALL])
def test_a_graph_gives_back_the_rules_that_it_was_made_for(rules: Preprocessing) -> None:
    model = networks.linear()
    stamp(model, rules_properties(rules))
    assert stamped_rules(properties_of(model)) == rules


def test_a_graph_of_others_states_none() -> None:
    assert stamped_rules({}) is None
    assert stamped_rules({"producer": "somebody", "preprocessing": "{}"}) is None
    assert stamped_rules({"producer": "topfive import"}) is None


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12" * 2_000_000)
    assert sha256(tmp_path / "file") == hashlib.sha256(b"12" * 2_000_000).hexdigest()
