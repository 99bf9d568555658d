from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.batch import Freed, free_batch

TOKENS, WIDTH, HEADS = 16, 6, 2


def ints(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, np.int64)


def fixed(nodes: str, *, opset: int = 17, shape: str = "1,3,4,4", **weights: Any) -> Any:
    """A network from `image` to `scores` whose batch is fixed to 1; `w` makes 3 scores of 48 numbers."""
    weights.setdefault("w", networks.matrix(48, 3))
    return networks.parsed(
        f"net (float[{shape}] image) => (float[{shape[0]},3] scores) {{ {nodes} }}", opset=opset, ir=4, **weights
    )


def freed(model: Any, folder: Path) -> Freed:
    """The result, of which it is seen here too that a batch of 3 gives what 3 single images do."""
    result = free_batch(networks.network(model, folder))
    images = np.random.default_rng(5).standard_normal((3, *result.network.input_shape(1)[1:])).astype(np.float32)
    singles = [networks.outputs(model, image=images[row : row + 1])["scores"] for row in range(3)]
    got = networks.outputs(result.network.model, image=images)["scores"]
    np.testing.assert_allclose(got, np.concatenate(singles), rtol=1e-4, atol=1e-5)
    onnx.checker.check_model(result.network.model)
    assert result.network.batch is None
    assert result.network.outputs[0].shape == (None, 3)
    return result


def test_a_free_batch_is_proven(tmp_path: Path) -> None:
    result = freed(networks.linear(), tmp_path)
    assert result.by == "free"
    assert result.how.startswith("its batch is free already; 4 images at once give what they give alone")
    assert not result.warnings


TO_TOKENS = "r = Reshape(image, to_rows) t = Transpose<perm=[0,2,1]>(r)"  # [1,16,3]
TOKEN_WEIGHTS: dict[str, Any] = {
    "to_rows": ints(1, 3, TOKENS),
    "up": networks.matrix(3, WIDTH),
    "head": networks.matrix(WIDTH, 3),
}
FIXED = {
    "declared only": fixed("f = Flatten(image) scores = MatMul(f, w)"),
    "reshaped by an initialiser": fixed("f = Reshape(image, s) scores = MatMul(f, w)", s=ints(1, 48)),
    "reshaped by a constant": fixed("s = Constant<value_ints=[1,-1]>() f = Reshape(image, s) scores = MatMul(f, w)"),
    "squeezed": fixed(
        "p = GlobalAveragePool(image) q = Squeeze(p, a) scores = MatMul(q, v)", a=ints(2, 3), v=networks.matrix(3, 3)
    ),
    "multiplied by a Gemm": fixed("f = Reshape(image, s) scores = Gemm(f, w)", s=ints(1, 48)),
    "class token": fixed(
        f"{TO_TOKENS} u = MatMul(t, up) c = Concat<axis=1>(token, u) z = Add(c, place) "
        "m = ReduceMean<axes=[1],keepdims=0>(z) scores = MatMul(m, head)",
        token=networks.matrix(1, 1, WIDTH),
        place=networks.matrix(1, TOKENS + 1, WIDTH),
        **TOKEN_WEIGHTS,
    ),
    "expanded class token, tokens first": fixed(
        f"{TO_TOKENS} u = MatMul(t, up) v = Transpose<perm=[1,0,2]>(u) e = Expand(token, one) "
        "c = Concat<axis=0>(e, v) m = Gather<axis=0>(c, zero) scores = MatMul(m, head)",
        token=networks.matrix(1, 1, WIDTH),
        one=ints(1, 1, WIDTH),
        zero=np.array(0, np.int64),
        **TOKEN_WEIGHTS,
    ),
    "attention heads": fixed(
        # [16,1,6] -> [16,2,3] (16, N*2, 3) -> [2,16,3] -> products -> [16,2,3] -> [16,6] (16*N, 6) -> [16,1,6]
        f"{TO_TOKENS} u = MatMul(t, up) v = Transpose<perm=[1,0,2]>(u) h = Reshape(v, heads) "
        "q = Transpose<perm=[1,0,2]>(h) k = Transpose<perm=[1,2,0]>(h) a = MatMul(q, k) s = Softmax<axis=-1>(a) "
        "o = MatMul(s, q) x = Transpose<perm=[1,0,2]>(o) y = Reshape(x, merged) z = MatMul(y, mix) "
        "b = Reshape(z, split) m = ReduceMean<axes=[0],keepdims=0>(b) scores = MatMul(m, head)",
        heads=ints(TOKENS, HEADS, WIDTH // HEADS),
        merged=ints(TOKENS, WIDTH),
        split=ints(TOKENS, 1, WIDTH),
        mix=networks.matrix(WIDTH, WIDTH),
        **TOKEN_WEIGHTS,
    ),
    "windows": fixed(
        "r = Reshape(image, s) t = Transpose<perm=[0,2,4,3,5,1]>(r) u = Reshape(t, windows) "
        "v = MatMul(u, up) p = ReduceMax<axes=[1],keepdims=0>(v) q = Reshape(p, back) "
        "m = ReduceMean<axes=[1],keepdims=0>(q) scores = MatMul(m, head)",
        s=ints(1, 3, 2, 2, 2, 2),
        windows=ints(4, 4, 3),
        back=ints(1, 4, WIDTH),
        **TOKEN_WEIGHTS,
    ),
    "einsum": fixed(
        'r = Reshape(image, to_rows) e = Einsum<equation="bct,ck->btk">(r, up) '
        "m = ReduceMean<axes=[1],keepdims=0>(e) scores = MatMul(m, head)",
        **TOKEN_WEIGHTS,
    ),
    "resized": fixed(
        'r = Resize<mode="nearest">(image, none, none2, s) p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(r) '
        "f = Flatten(p) scores = MatMul(f, w)",
        s=ints(1, 3, 8, 8),
        none=np.zeros(0, np.float32),
        none2=np.zeros(0, np.float32),
        opset=13,
    ),
    "expanded": fixed("x = Expand(image, s) f = Flatten(x) scores = MatMul(f, w)", s=ints(1, 3, 4, 4)),
    # torch's exporter writes a pooling over channels that lie last (as ConvNeXt has them) like this: `as_strided`.
    "gathered as they lie": fixed(
        "p = GlobalAveragePool(image) r = Reshape(p, row) g = Gather<axis=0>(r, places) f = Reshape(g, s) "
        "scores = MatMul(f, v)",
        row=ints(-1),
        places=np.arange(3).reshape(1, 3, 1, 1),
        s=ints(1, 3),
        v=networks.matrix(3, 3),
    ),
    "channels last": fixed("f = Reshape(image, s) scores = MatMul(f, w)", shape="1,4,4,3", s=ints(1, 48)),
}


@pytest.mark.parametrize("what", FIXED)
def test_a_fixed_batch_is_freed_by_rules(what: str, tmp_path: Path) -> None:
    result = freed(FIXED[what], tmp_path)
    assert result.by == "rules"
    assert result.how.startswith("its batch was fixed to 1")
    assert ("by its declaration only" in result.how) == (what in {"declared only", "squeezed", "expanded"})


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 20])
def test_rules_hold_in_every_opset(opset: int, tmp_path: Path) -> None:
    model = fixed(
        "r = Reshape(image, s) c = Concat<axis=1>(token, r) a = Transpose<perm=[0,2,1]>(c) g = Reshape(a, t) "
        "scores = MatMul(g, v)",
        opset=opset,
        s=ints(1, 48),
        t=ints(1, 49),
        token=networks.matrix(1, 1),
        v=networks.matrix(49, 3),
    )
    model.graph.node[2].op_type = "Identity"
    del model.graph.node[2].attribute[:]
    assert freed(model, tmp_path).how.startswith(
        "its batch was fixed to 1; changed for any number: 1 Concat, 2 Reshape"
    )


def test_a_batch_that_only_claims_to_be_free_is_freed(tmp_path: Path) -> None:
    model = fixed("f = Reshape(image, s) scores = MatMul(f, w)", s=ints(1, 48))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    result = free_batch(networks.network(model, tmp_path))
    assert result.by == "rules"
    assert result.how.startswith("its batch was said to be free, and was not; changed for any number: 1 Reshape")


ONE_IMAGE = "i = Gather<axis=0>(image, zero) r = Reshape(i, s) scores = MatMul(r, w)"
"""Takes the first image of a batch, whatever the others are."""


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 20])
def test_what_no_rule_frees_runs_image_by_image_with_a_warning(opset: int, tmp_path: Path) -> None:
    model = fixed(ONE_IMAGE, opset=opset, zero=np.array(0, np.int64), s=ints(1, 48))
    result = freed(model, tmp_path)
    assert result.by == "scan"
    assert [value.name for value in result.network.outputs] == ["scores"]
    assert "image by image" in result.warnings[0]
    assert f"{result.batch_ms:.1f} ms for each of 4 images" in result.warnings[0]


def test_a_network_that_mixes_the_images_of_a_batch_runs_image_by_image(tmp_path: Path) -> None:
    """Dynamic quantisation takes one scale for the whole batch, for instance."""
    model = networks.linear(end="m = ReduceMax<axes=[0,1],keepdims=1>(raw) scores = Div(raw, m)")
    result = free_batch(networks.network(model, tmp_path))
    assert result.by == "scan"
    assert "images of a batch change each other's results" in result.warnings[0]


def test_no_loop_can_be_put_around_an_old_network(tmp_path: Path) -> None:
    model = fixed(ONE_IMAGE, opset=8, zero=np.array(0, np.int64), s=ints(1, 48))
    with pytest.raises(ConfigurationError, match="in its opset 8 no loop can be put around it; export it again"):
        free_batch(networks.network(model, tmp_path))


def test_a_batch_fixed_to_several_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="takes 8 images at once, always; export it again"):
        free_batch(networks.network(networks.linear(shape="8,3,4,4"), tmp_path))


def test_what_does_not_run_is_refused(tmp_path: Path) -> None:
    model = fixed("f = Reshape(image, s) scores = MatMul(f, w)", s=ints(1, 47))
    with pytest.raises(ConfigurationError, match="onnxruntime cannot run the network on one image"):
        free_batch(networks.network(model, tmp_path))


def test_the_remedy_for_dynamic_quantisation_is_a_static_one(tmp_path: Path) -> None:
    """Its range is that of the whole batch, so a free batch dimension would not help."""
    model = networks.linear(end="q, step, zero = DynamicQuantizeLinear(raw) scores = DequantizeLinear(q, step, zero)")
    result = free_batch(networks.network(model, tmp_path))
    assert result.by == "scan"
    assert result.warnings[0].endswith(
        "quantise it statically: dynamic quantisation takes its range from a whole batch"
    )
