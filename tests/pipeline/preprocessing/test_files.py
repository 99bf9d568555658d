"""What frameworks have written down is read as they use it; what cannot be done here is refused with a flag to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, crop_known, resolve
from topfive_pipeline.preprocessing.files import read
from topfive_pipeline.preprocessing.flags import choices_said
from topfive_pipeline.preprocessing.keras_names import APPLICATIONS
from topfive_pipeline.preprocessing.rules import Preprocessing, Size
from topfive_pipeline.preprocessing.torchvision_names import TABLE

IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# as timm 1.0.31 saves them; what does not concern pixels is left out
TIMM: dict[str, Any] = {
    "architecture": "convnext_tiny",
    "num_classes": 1000,
    "pretrained_cfg": {
        "input_size": [3, 224, 224],
        "test_input_size": [3, 288, 288],
        "fixed_input_size": False,
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "test_crop_pct": 1.0,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
}
# as transformers 5.24 saves them
VIT: dict[str, Any] = {
    "do_convert_rgb": None,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 224, "width": 224},
}


def written(folder: Path, content: Any, name: str = "config.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def rules(source: Path | str, taken: Size | None = None, **flags: Any) -> Preprocessing:
    """What `source` means for a network that takes images of the size `taken`, beside `flags`."""
    network = {} if taken is None else {"crop": Choice(taken, "found", "the network's input")}
    said = choices_said(**flags)
    resolved = resolve([said, read(source, crop=crop_known(said, network), said=said)], network=network)
    assert resolved.missing == ()
    assert resolved.rules is not None
    assert {choice.origin for choice in resolved.choices.values()} <= {"read", "said", "found"}
    return resolved.rules


def timm(**fields: Any) -> dict[str, Any]:
    return {"pretrained_cfg": {**TIMM["pretrained_cfg"], **fields}}


def hugging_face(kind: str | None = None, **fields: Any) -> dict[str, Any]:
    return {**VIT, **({} if kind is None else {"image_processor_type": kind}), **fields}


def test_timm(tmp_path: Path) -> None:
    assert rules(written(tmp_path, TIMM)) == Preprocessing(
        resize="short-side",
        short_side=256,
        crop=(224, 224),
        crop_rounding="half-even",
        interpolation="bicubic",
        scale=1 / 255,
        **IMAGENET,
    )


def test_timms_pretrained_cfg_alone_and_a_folder_are_read_too(tmp_path: Path) -> None:
    whole = rules(written(tmp_path, TIMM))
    assert rules(tmp_path) == whole
    assert rules(written(tmp_path, TIMM["pretrained_cfg"], "cfg.json")) == whole


def test_timms_size_for_tests_is_taken_if_the_network_has_it(tmp_path: Path) -> None:
    found = rules(written(tmp_path, TIMM), taken=(288, 288))
    assert (found.crop, found.short_side) == ((288, 288), 288)


def test_timms_defaults_are_timms(tmp_path: Path) -> None:
    assert rules(written(tmp_path, {"pretrained_cfg": {}})) == rules(written(tmp_path, TIMM))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"crop_pct": 0.9}, {"short_side": 248}),
        ({"crop_pct": 0.95, "input_size": [3, 240, 240]}, {"short_side": 252}),
        ({"crop_mode": "squash", "crop_pct": 1.0}, {"resize": "squash", "resize_to": (224, 224)}),
        ({"crop_mode": "squash", "crop_pct": 0.875}, {"resize_to": (256, 256), "crop": (224, 224)}),
        ({"crop_mode": "squash", "crop_pct": 1.0, "input_size": [3, 48, 192]}, {"resize_to": (48, 192)}),
        ({"interpolation": "bilinear"}, {"interpolation": "bilinear"}),
        ({"interpolation": ""}, {"interpolation": "bicubic"}),
        ({"mean": [0.5, 0.5, 0.5]}, {"mean": (0.5,)}),
        ({"input_size": [1, 28, 28], "mean": [0.5], "std": [0.5]}, {"colour": "grey", "crop": (28, 28)}),
    ],
)
def test_fields_of_timm(fields: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    found = rules(written(tmp_path, timm(**fields)))
    assert {name: getattr(found, name) for name in expected} == expected


def test_timms_arguments_of_the_network_change_its_input(tmp_path: Path) -> None:
    content = {**timm(fixed_input_size=True), "model_args": {"img_size": 384}}
    assert rules(written(tmp_path, content)).crop == (384, 384)


@pytest.mark.parametrize(
    ("fields", "message", "flags"),
    [
        (
            {"interpolation": "lanczos"},
            'interpolation "lanczos" cannot be done here; say --interp',
            {"interpolation": "bicubic"},
        ),
        ({"interpolation": "random"}, 'interpolation "random" cannot', {"interpolation": "bicubic"}),
        (
            {"crop_mode": "border"},
            "'border' pads .*; for the nearest to it, say --resize letterbox:114",
            {"resize": "letterbox:114"},
        ),
        ({"crop_mode": "tiles"}, 'crop_mode "tiles" is not known', {"resize": "squash"}),
        ({"input_size": [3, 48, 192]}, "say --resize squash:54x219", {"resize": "squash"}),
    ],
)
def test_what_timm_does_and_we_cannot_is_refused_unless_a_flag_says_it(
    fields: dict[str, Any], message: str, flags: dict[str, Any], tmp_path: Path
) -> None:
    source = written(tmp_path, timm(**fields))
    with pytest.raises(ConfigurationError, match=message):
        rules(source)
    rules(source, **flags)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_pct": "a"}, 'crop_pct is "a", but it must be a number'),
        ({"crop_pct": 8}, "crop_pct is 8, which is no fraction"),
        ({"mean": "imagenet"}, "mean is .*, but it must be a list of numbers"),
        ({"input_size": [224, 224]}, "input_size is .*, but it must be a list of 3 whole numbers"),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rules(written(tmp_path, timm(**fields)))


def test_hugging_face(tmp_path: Path) -> None:
    assert rules(written(tmp_path, VIT)) == Preprocessing(
        resize="squash",
        resize_to=(224, 224),
        interpolation="bilinear",
        crop=(224, 224),
        scale=1 / 255,
        mean=(0.5,),
        std=(0.5,),
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # old files: one number, a feature extractor, fields left out
        (
            {"feature_extractor_type": "ViTFeatureExtractor", "size": 224, "image_mean": [0.5, 0.5, 0.5]},
            {"resize_to": (224, 224)},
        ),
        (
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "do_center_crop": True},
            {
                "short_side": 224,
                "interpolation": "bicubic",
                "crop_rounding": "floor",
                "mean": (0.48145466, 0.4578275, 0.40821073),
            },
        ),
        ({"image_processor": VIT, "processor_class": "A"}, {"resize_to": (224, 224)}),
        (hugging_face("ViTImageProcessorFast"), {"resize": "squash"}),
        (
            hugging_face("DeiTImageProcessor", size=256, do_center_crop=True, crop_size=224),
            {"resize_to": (256, 256), "crop": (224, 224)},
        ),
        (
            hugging_face("ConvNextImageProcessor", size={"shortest_edge": 224}, crop_pct=0.875),
            {"short_side": 256, "crop": (224, 224)},
        ),
        (hugging_face("ConvNextImageProcessor", size={"shortest_edge": 224}, crop_pct=0.95), {"short_side": 235}),
        (hugging_face("ConvNextFeatureExtractor", size=384), {"resize_to": (384, 384), "crop": (384, 384)}),
        (hugging_face("LevitImageProcessor", size={"shortest_edge": 224}), {"short_side": 256, "crop": (224, 224)}),
        (hugging_face("PoolFormerImageProcessor", size={"shortest_edge": 224}, crop_pct=0.9), {"short_side": 248}),
        (
            hugging_face("PoolFormerImageProcessor", size={"height": 224, "width": 224}, crop_pct=0.95),
            {"short_side": 235},
        ),
        (
            hugging_face(
                "MobileViTImageProcessor", size={"shortest_edge": 288}, crop_size={"height": 256, "width": 256}
            ),
            {"short_side": 288, "crop": (256, 256), "colour": "bgr", "mean": (0.0,), "std": (1.0,)},
        ),
        (
            hugging_face("MobileViTImageProcessor", size={"shortest_edge": 288}, do_flip_channel_order=False),
            {"colour": "rgb"},
        ),
        (
            hugging_face(
                "EfficientNetImageProcessor", image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.2, 0.1], resample=0
            ),
            {"interpolation": "nearest", "mean": (0.5, 0.4, 0.3), "std": (0.25, 0.2 * 0.2, 0.1 * 0.1)},
        ),
        (
            hugging_face(
                "EfficientNetImageProcessor",
                rescale_factor=1 / 127.5,
                rescale_offset=True,
                do_normalize=False,
                include_top=False,
            ),
            {"scale": 1 / 127.5, "mean": (1.0,), "std": (1.0,)},
        ),
        (
            hugging_face(do_rescale=False, image_mean=[124, 116, 103], image_std=[1, 1, 1]),
            {"scale": 1.0, "mean": (124, 116, 103)},
        ),
        (hugging_face(do_normalize=False), {"mean": (0.0,), "std": (1.0,)}),
        (hugging_face(image_mean=0.5, image_std=0.25), {"mean": (0.5,), "std": (0.25,)}),
        (
            hugging_face(do_resize=False, do_center_crop=True, crop_size={"height": 48, "width": 192}),
            {"resize": "none", "crop": (48, 192)},
        ),
        (hugging_face(do_reduce_labels=True, do_pad=None), {"resize": "squash"}),
        (hugging_face(size=[224, 224]), {"resize_to": (224, 224)}),
    ],
)
def test_fields_of_hugging_face(content: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    found = rules(written(tmp_path, content, "preprocessor_config.json"))
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "message", "flags"),
    [
        (
            {"resample": 1},
            r"resample is 1 \(Pillow's Lanczos filter\), which cannot be done here",
            {"interpolation": "bicubic"},
        ),
        ({"resample": 4}, r"resample is 4 \(Pillow's box filter\)", {"interpolation": "bilinear"}),
        ({"resample": 9}, "resample is 9, which cannot be done here", {"interpolation": "bilinear"}),
        ({"size": {"shortest_edge": 224}}, "leaves images at different sizes", {"crop": "224"}),
        (
            {"size": {"shortest_edge": 224, "longest_edge": 400}},
            "say --resize letterbox",
            {"resize": "letterbox", "crop": "400"},
        ),
        (
            {"size": {"max_height": 9, "max_width": 9}},
            "leaves images at different sizes",
            {"resize": "squash", "crop": "9"},
        ),
        ({"size": [224, 192]}, "size is .*; it must be .*: say --resize", {"resize": "squash", "crop": "9"}),
        ({"do_center_crop": True, "crop_size": None}, "crop_size is missing; say --crop", {"crop": "224"}),
        ({"do_resize": False}, "leaves images at different sizes", {"crop": "224"}),
    ],
)
def test_what_hugging_face_does_and_we_cannot_is_refused_unless_a_flag_says_it(
    fields: dict[str, Any], message: str, flags: dict[str, Any], tmp_path: Path
) -> None:
    source = written(tmp_path, hugging_face(**fields))
    with pytest.raises(ConfigurationError, match=message):
        rules(source)
    rules(source, **flags)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (hugging_face(do_pad=True), "do_pad is true, a step that cannot be done here"),
        (hugging_face(do_thumbnail=True), "do_thumbnail is true"),
        (
            hugging_face("PerceiverImageProcessor"),
            "PerceiverImageProcessor crops a part of each image before it resizes",
        ),
        (hugging_face("TimmWrapperImageProcessor"), "whose config.json is beside it"),
        (
            hugging_face("NewImageProcessor"),
            'the steps of "NewImageProcessor" are not known here.*Read',
        ),
        (hugging_face(do_resize="yes"), 'do_resize is "yes", but it must be true or false'),
        (hugging_face(image_std=[0, 1, 1]), "must be above 0"),
        ({"do_normalize": True, "size": 224, "resample": 2}, "image_mean or image_std is missing"),
        ({"model_type": "vit", "id2label": {}}, "how images are prepared stands in the preprocessor_config.json"),
        ({"b": 1, "a": 2}, "no preprocessing that is known; it holds a, b; give timm's config.json"),
        ({}, "it holds nothing"),
        ([1], "it holds a list, no object; give"),
    ],
)
def test_other_files_are_refused_with_what_they_hold(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rules(written(tmp_path, content))


def test_a_folder_without_such_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"has no preprocessor_config\.json, .* or config\.json"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torchvision:resnet50", {"short_side": 232, "crop": (224, 224), "interpolation": "bilinear", **IMAGENET}),
        ("ResNet50_Weights.IMAGENET1K_V1", {"short_side": 256, "crop_rounding": "half-even", "antialias": True}),
        ("torchvision:ResNet50_Weights.DEFAULT", {"short_side": 232}),
        ("EfficientNet_B3_Weights.IMAGENET1K_V1", {"short_side": 320, "crop": (300, 300), "interpolation": "bicubic"}),
        ("VGG16_Weights.IMAGENET1K_FEATURES", {"std": (1 / 255,)}),
        ("keras:ResNet50", {"colour": "bgr", "scale": 1.0, "resize_to": (224, 224), "antialias": False}),
        ("keras:mobilenetv2", {"scale": 1 / 127.5, "mean": (1.0,)}),
        ("keras:EfficientNetB3", {"scale": 1.0, "mean": (0.0,), "crop": (300, 300)}),
        ("keras:caffe", {"colour": "bgr", "scale": 1.0, "resize_to": (224, 224)}),
        ("keras:mobilenet_v2", {"scale": 1 / 127.5, "mean": (1.0,)}),
        ("keras:resnet", {"colour": "bgr", "scale": 1.0}),
        ("keras:DenseNet121", {"scale": 1 / 255, **IMAGENET}),
    ],
)
def test_names(name: str, expected: dict[str, Any]) -> None:
    found = rules(name)
    assert {field: getattr(found, field) for field in expected} == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet51", "no classifier or weights of this name; did you mean resnet5"),
        ("FCN_ResNet50_Weights.DEFAULT", "no classifier or weights of this name"),
        ("keras:ResNet5", r"no application and no mode \(.*\) of this name; did you mean ResNet50, "),
        ("keras:", "ResNet50 is one"),
        ("torchvision", "it is a preset: say --preset torchvision"),
        ("absent.json", "there is no such file, and it is no known name; give timm's"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(name)


def test_keras_takes_the_networks_size_for_the_usual_one() -> None:
    assert rules("keras:Xception").crop == (299, 299)
    assert rules("keras:Xception", taken=(160, 160)).resize_to == (160, 160)


def test_every_name_of_the_tables_is_read() -> None:
    import topfive_pipeline.preprocessing as room

    table = json.loads((Path(str(room.__file__)).parent / TABLE).read_text(encoding="utf-8"))
    assert len(table["weights"]) > 100
    assert set(table["networks"].values()) <= table["weights"].keys()
    for name in [*table["weights"], *(f"torchvision:{name}" for name in table["networks"])]:
        assert rules(name).crop
    for name in APPLICATIONS:
        assert rules(f"keras:{name}").crop
