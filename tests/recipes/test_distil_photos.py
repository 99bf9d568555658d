"""Teacher and student see the same crops; the student is trained as it is served, and only its last blocks are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these import torch, once it is known to be there
from torch.nn import functional  # noqa: E402

from recipes.distil_photos import RULES, STUDENT, normalised, sharpness, trained_on  # noqa: E402
from recipes.kit import data, photos  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.setting import Setting  # noqa: E402
from recipes.kit.teaching import AsServed  # noqa: E402
from recipes.kit.training import Schedule, fit  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402
from topfive_pipeline.preprocessing.reference import network_input, pixels  # noqa: E402
from topfive_pipeline.proof.photos import shipped  # noqa: E402

pytestmark = pytest.mark.untraced


def folder_of(number: int, folder: Path) -> Path:
    """So many pictures of noise with a class each."""
    noise = np.random.default_rng(0).integers(0, 256, (number, 8, 9, 3), np.uint8)
    for index, levels in enumerate(noise):
        Image.fromarray(levels).save(folder / f"{index}.png")
    lines = "".join(f"{index}.png,{index}\n" for index in range(number))
    (folder / "labels.csv").write_text(f"file,index\n{lines}", encoding="utf-8")
    return folder


def test_the_crops_are_the_same_in_every_resolution_and_no_two_are_alike() -> None:
    large, small = photos.crops(shipped()[:2], 4, (96, 48), seed=0)
    assert large.shape == (8, 3, 96, 96)
    assert small.shape == (8, 3, 48, 48)
    halved = functional.avg_pool2d(large.float(), 2)
    distances = (halved[:, None] - small.float()[None]).abs().mean((2, 3, 4))
    assert torch.equal(distances.argmin(1), torch.arange(8))
    assert distances.diagonal().max() < 8


def test_the_same_seed_makes_the_same_crops_whatever_the_resolutions() -> None:
    _, alone = photos.crops(shipped()[:1], 3, (64, 32), seed=1)
    (again,) = photos.crops(shipped()[:1], 3, (32,), seed=1)
    assert torch.equal(alone, again)
    assert not torch.equal(again, photos.crops(shipped()[:1], 3, (32,), seed=2)[0])


def test_a_network_is_fed_as_the_served_graph_feeds_it() -> None:
    photo = shipped()[0]
    levels = photos.as_served([photo], RULES)
    assert levels.shape == (1, 3, 192, 192)
    wanted = network_input(pixels(photo.image(), RULES)[np.newaxis], RULES, layout="NCHW")
    assert np.array_equal(normalised(levels).numpy(), wanted)


def test_training_as_served_keeps_the_statistics_that_plain_training_changes() -> None:
    inputs, targets = torch.randn(16, 1, 8, 8) + 3, torch.zeros(16, dtype=torch.long)
    changed = []
    for wrap in (AsServed, torch.nn.Sequential):
        network = plain(10, width=2).eval()
        mean, weight = network.stem.norm.running_mean.clone(), network.head.weight.clone()
        fit(wrap(network), inputs, targets, Schedule(epochs=3, batch=8), lambda text: None)
        assert not torch.equal(network.head.weight, weight)
        changed.append(not torch.equal(network.stem.norm.running_mean, mean))
    assert changed == [False, True]


def test_only_the_last_blocks_are_trained(tmp_path: Path) -> None:
    setting = Setting(
        data=data.load("digits"), photos=None, out=tmp_path, quick=True, seed=0, logs=False, say=lambda text: None
    )  # fmt: skip
    torch.manual_seed(0)
    shown, wanted = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8), torch.randn(4, 1000)
    before, after = STUDENT.module().state_dict(), trained_on(shown, wanted, setting).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in changed if name.startswith(("_conv_stem", "_bn0", "_blocks.9.")) or "running" in name]
    assert {"_fc.weight", "_conv_head.weight", "_blocks.10._depthwise_conv.weight"} <= changed


def test_the_sharpness_is_found_by_which_answers_were_made_unsure() -> None:
    torch.manual_seed(0)
    logits = 3 * torch.randn(5000, 10)
    labels = torch.multinomial(logits.softmax(1), 1).flatten()
    assert sharpness(logits * 0.5, labels) == pytest.approx(0.5, abs=0.06)


def test_photos_that_train_and_that_choose_are_told_by_their_files(tmp_path: Path) -> None:
    training, dev = photos.parts(folder_of(40, tmp_path))
    assert training
    assert dev
    assert not {photo.name for photo in training} & {photo.name for photo in dev}


def test_without_photos_or_with_too_few_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="say --photos FOLDER"):
        photos.parts(None)
    with pytest.raises(ConfigurationError, match="give some hundred photos"):
        photos.parts(folder_of(1, tmp_path))


def test_the_flags_of_the_import_are_those_of_the_network() -> None:
    said = " ".join(photos.flags(RULES))
    assert said == (
        "--resize short-side:224 --crop 192 --crop-rounding floor --interpolation bicubic --scale 1 --mean 127 "
        "--std 128 --labels imagenet-1k"
    )
