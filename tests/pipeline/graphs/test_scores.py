from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.outputs import choose_output
from topfive_pipeline.graphs.scores import Kind, ScoresChoice, resolve_scores, scores_kind

ONE = "one = Constant<value_float=1.0>()"


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("scores = Identity(raw)", "logits"),
        ("scores = Softmax<axis=1>(raw)", "softmax"),
        ("p = Softmax<axis=1>(raw) q = Cast<to=1>(p) scores = Flatten(q)", "softmax"),
        ("e = Exp(raw) s = ReduceSum<keepdims=1>(e, axes) scores = Div(e, s)", "softmax"),
        ("e = Exp(raw) s = ReduceSum<keepdims=1>(e, axes) r = Reciprocal(s) scores = Mul(e, r)", "softmax"),
        ("e = Exp(raw) s = ReduceSum<keepdims=1>(e, axes) l = Log(s) scores = Sub(raw, l)", "log-softmax"),
        ("scores = LogSoftmax<axis=1>(raw)", "log-softmax"),
        ("p = Softmax<axis=1>(raw) scores = Log(p)", "log-softmax"),
        ("l = LogSoftmax<axis=1>(raw) scores = Exp(l)", "softmax"),
        ("scores = Sigmoid(raw)", "sigmoid"),
        (f"{ONE} n = Neg(raw) e = Exp(n) d = Add(one, e) scores = Div(one, d)", "sigmoid"),
        (f"{ONE} n = Neg(raw) e = Exp(n) d = Add(e, one) scores = Reciprocal(d)", "sigmoid"),
        ("p = Softmax<axis=1>(raw) scores = Add(p, raw)", "logits"),
        ("scores = Div(raw, flatest)", "logits"),
    ],
)
def test_what_was_done_to_the_scores_is_noticed(end: str, kind: Kind, tmp_path: Path) -> None:
    if "axes" in end:
        end = f"axes = Constant<value_ints=[1]>() {end}"
    if "flatest" in end:
        end = f"flatest = ReduceMax<axes=[1]>(flat) {end}"
    network = networks.network(networks.linear(end=end), tmp_path)
    assert scores_kind(network, choose_output(network)) == kind


@pytest.mark.parametrize(
    ("kind", "asked", "multi_label", "scores"),
    [
        ("logits", "auto", False, "softmax"),
        ("logits", "auto", True, "sigmoid"),
        ("softmax", "auto", False, "as-is"),
        ("sigmoid", "auto", True, "as-is"),
        ("log-softmax", "auto", False, "exp"),
        ("log-softmax", "softmax", False, "softmax"),  # the same: a softmax of logarithms of probabilities
        ("logits", "as-is", False, "as-is"),
    ],
)
def test_what_is_left_to_do_follows(
    kind: Kind, asked: ScoresChoice, multi_label: bool, scores: str, tmp_path: Path
) -> None:
    output = choose_output(networks.network(networks.linear(), tmp_path))
    assert resolve_scores(kind, output, asked=asked, multi_label=multi_label) == scores


@pytest.mark.parametrize(("kind", "asked"), [("softmax", "softmax"), ("sigmoid", "softmax"), ("sigmoid", "sigmoid")])
def test_a_second_softmax_is_refused(kind: Kind, asked: ScoresChoice, tmp_path: Path) -> None:
    output = choose_output(networks.network(networks.linear(), tmp_path))
    with pytest.raises(ConfigurationError, match=f"ends in a {kind} already.*say --scores as-is"):
        resolve_scores(kind, output, asked=asked)


def test_one_score_is_made_a_probability_by_a_sigmoid(tmp_path: Path) -> None:
    model = networks.parsed("net (float[N,4] image) => (float[N,1] s) { s = ReduceSum(image, one) }", one=np.array([1]))
    output = choose_output(networks.network(model, tmp_path))
    assert resolve_scores("logits", output) == "sigmoid"
    with pytest.raises(ConfigurationError, match="always 1"):
        resolve_scores("logits", output, asked="softmax")
