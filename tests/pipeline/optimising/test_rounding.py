"""Rounded weights keep what their layer puts out, where weights that are rounded one by one do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pipeline.optimising import networks
from topfive_pipeline.optimising.inputs import Inputs, Matrix, collect, matrices
from topfive_pipeline.optimising.rounding import compensated, rounded
from topfive_pipeline.optimising.source import Source

Random = np.random.Generator


@pytest.fixture
def random() -> Random:
    return np.random.default_rng(7)


def _correlated(random: Random, groups: int, d: int, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """[groups, d, count]: numbers that go together, as those of channels and of neighbouring pixels do."""
    few = max(1, d // 4)
    together = random.normal(0, 1, (groups, d, few)) @ random.normal(0, 1, (groups, few, count))
    return together + random.normal(0, 0.1, (groups, d, count)) + 2


@pytest.mark.parametrize(("groups", "outputs", "d"), [(1, 12, 100), (40, 1, 9), (3, 4, 27)])
def test_outputs_vary_less_from_what_they_were_than_with_nearest_numbers(
    groups: int, outputs: int, d: int, random: Random
) -> None:
    inputs = _correlated(random, groups, d, 4000)
    centred = inputs - inputs.mean(axis=2, keepdims=True)
    wanted = random.normal(0, 3, (groups, outputs, d))
    found = compensated(wanted, centred @ centred.transpose(0, 2, 1) / 4000)
    assert (found == np.round(found)).all()
    errors = [float(np.square((each - wanted) @ centred).mean()) for each in (found, np.round(wanted))]
    assert errors[0] < 0.5 * errors[1]


def test_inputs_that_do_not_go_together_leave_the_nearest_numbers(random: Random) -> None:
    wanted = random.uniform(-100, 100, (1, 5, 70))
    assert (compensated(wanted, np.eye(70)[np.newaxis]) == np.round(wanted)).all()


def test_levels_stay_within_what_the_integers_hold(random: Random) -> None:
    inputs = _correlated(random, 1, 30, 500)
    found = compensated(np.full((1, 4, 30), 63.7), inputs @ inputs.transpose(0, 2, 1) / 500, top=64)
    assert np.abs(found).max() <= 64


def test_the_bias_takes_what_is_left_on_average(random: Random) -> None:
    patches = _correlated(random, 1, 20, 300).astype(np.float32)
    weights = random.normal(0, 1, (1, 6, 20)).astype(np.float32)
    layer = Matrix("layer", "value", weights, np.ones(6, np.float32))
    inputs = Inputs()
    inputs.add(patches)
    made = rounded([layer], {"layer": inputs})["layer"]
    assert made.bias is not None
    before = (weights @ patches).mean(axis=2)[0] + 1
    after = ((made.levels * made.scale[:, :, np.newaxis]) @ patches).mean(axis=2)[0] + made.bias
    assert after == pytest.approx(before, abs=1e-4)


def test_a_layer_with_too_many_inputs_for_a_covariance_is_rounded_to_nearest(
    monkeypatch: pytest.MonkeyPatch, random: Random
) -> None:
    monkeypatch.setattr("topfive_pipeline.optimising.inputs._WIDEST", 10)
    inputs = Inputs()
    inputs.add(_correlated(random, 1, 20, 50).astype(np.float32))
    weights = random.normal(0, 1, (1, 6, 20)).astype(np.float32)
    made = rounded([Matrix("layer", "value", weights, None)], {"layer": inputs})["layer"]
    assert (made.levels == np.round(weights / made.scale[:, :, np.newaxis])).all()


def test_what_a_convolution_takes_is_patches(source: Source, random: Random) -> None:
    """Weights times patches are the layer's output, wherever the patches are."""
    layers = matrices(source)
    assert [layer.name for layer in layers] == source.layers
    first = layers[0]
    array = random.normal(0, 1, (2, 3, 16, 16)).astype(np.float32)
    patches = first.patches(array, np.random.default_rng(0))
    assert patches.shape == (1, 27, 2 * 32)
    padded = np.pad(array, ((0, 0), (0, 0), (1, 1), (1, 1)))
    place = int(np.random.default_rng(0).permutation(256)[0])
    y, x = divmod(place, 16)
    assert (patches[0, :, 0] == padded[0, :, y : y + 3, x : x + 3].reshape(-1)).all()


def test_what_layers_take_is_counted_of_all_photos(source: Source) -> None:
    found = collect(source, matrices(source), networks.crops(11), progress=lambda *_: None)
    assert [found[name].count for name in source.layers] == [11 * 32, 11 * 32, 11]
