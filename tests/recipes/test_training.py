"""Training is the same for the same seed and leaves modes as they were; a network is asked as it is served."""

import math
from typing import Literal

import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there
from torch import nn  # noqa: E402

from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.training import Schedule, fit, logits_of, mode, optimiser_of, shifted  # noqa: E402

pytestmark = pytest.mark.untraced


def samples(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(1)
    labels = torch.arange(number) % 3
    return torch.randn(number, 1, 8, 8, generator=chance) + labels.reshape(-1, 1, 1, 1), labels


def fitted(seed: int) -> tuple[nn.Module, list[float], list[str]]:
    torch.manual_seed(seed)
    network, said = plain(3, width=4), list[str]()
    schedule = Schedule(epochs=3, batch=16, seed=seed)
    losses = fit(network, *samples(48), schedule, said.append, augment=shifted)
    return network, losses, said


def test_a_seed_gives_the_same_weights_and_another_seed_others() -> None:
    """Bit for bit: what chance begins with is all that differs between two trainings."""
    once, again, other = (fitted(seed)[0].state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not any(torch.equal(once[name], other[name]) for name in once if name.endswith("conv.weight"))


def test_the_seed_of_a_schedule_alone_changes_the_order_of_samples() -> None:
    torch.manual_seed(0)
    weights = plain(3, width=4).state_dict()
    found = []
    for seed in (1, 2):
        network = plain(3, width=4)
        network.load_state_dict(weights)
        fit(network, *samples(48), Schedule(epochs=1, batch=16, seed=seed), lambda _: None)
        found.append(network.head.weight)
    assert not torch.equal(*found)


def test_training_says_each_epoch_and_learns() -> None:
    _, losses, said = fitted(0)
    assert said == [f"epoch {epoch} of 3: loss {loss:.3f}" for epoch, loss in enumerate(losses, start=1)]
    assert losses[-1] < losses[0]


def test_modes_come_back_module_by_module() -> None:
    """Who froze one normalisation finds it frozen, also after an error."""
    network = plain(3, width=4)
    network.first.norm.eval()
    before = [module.training for module in network.modules()]
    for training in (True, False):
        with mode(network, training=training):
            assert all(module.training is training for module in network.modules())
        assert [module.training for module in network.modules()] == before
    with pytest.raises(KeyError), mode(network, training=False):
        raise KeyError
    assert [module.training for module in network.modules()] == before


def test_a_loss_that_is_no_number_is_refused() -> None:
    network = plain(3, width=4).eval()
    with pytest.raises(ArithmeticError, match=r"the loss is (nan|inf) after epoch \d: the rate 1e\+30 is too high"):
        fit(network, *samples(48), Schedule(epochs=2, batch=16, rate=1e30), lambda _: None)
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_only_weights_of_layers_decay_and_frozen_ones_are_left_out(optimiser: Literal["sgd", "adamw"]) -> None:
    network = plain(3, width=4)
    network.stem.requires_grad_(requires_grad=False)
    made = optimiser_of(network, Schedule(epochs=1, decay=0.25, optimiser=optimiser))
    decays = {id(each): group["weight_decay"] for group in made.param_groups for each in group["params"]}
    expected = {
        id(weight): 0.25 if name.endswith(("conv.weight", "head.weight")) else 0
        for name, weight in network.named_parameters()
        if not name.startswith("stem.")
    }
    assert decays == expected


def test_an_answer_does_not_depend_on_the_rest_of_the_batch() -> None:
    """That is what a forgotten `eval()` costs; and to ask moves no statistics, and leaves the network in training."""
    network, _, _ = fitted(0)
    network.train()
    inputs, _ = samples(12)
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    together = logits_of(network, inputs)
    alone = torch.cat([logits_of(network, each) for each in inputs.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(kept[name], value) for name, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    with torch.no_grad():
        assert (network(inputs) - together).abs().max() > 0.01, "the modes do not differ: this test sees nothing"


def test_shifted_moves_by_at_most_two_pixels_and_mirrors_half() -> None:
    inputs = torch.arange(64 * 100, dtype=torch.float32).reshape(100, 1, 8, 8)
    found = shifted(inputs, torch.Generator().manual_seed(5))
    padded = nn.functional.pad(inputs, (2, 2, 2, 2), mode="replicate")
    moves = [padded[..., y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
    same = torch.stack([(found == moved).flatten(1).all(1) for moved in moves])
    flipped = torch.stack([(found == moved.flip(-1)).flatten(1).all(1) for moved in moves])
    assert bool((same | flipped).any(0).all())
    assert math.isclose(same.any(0).float().mean().item(), 0.5, abs_tol=0.15)
