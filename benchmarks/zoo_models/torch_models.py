"""Exports of PyTorch, torchvision, timm and Hugging Face; their weights are random, from one seed.

Random weights answer nearly the same for every photo. So BatchNorm gets the statistics of real photos, and the last
layer is scaled and shifted until the scores vary between photos by `SPREAD`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.zoo_models.saving import (
    MODEL,
    Recipe,
    folder_of,
    pictures,
    save,
    sigmoid,
    softmax,
    write_labels,
)

# PyPI's torchvision is built for PyPI's torch. Beside another build its operators (for detection) are not there, and to
# import it fails for want of these declarations; its classifiers need none of them.
_OPERATORS: Final = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402 - after the declaration above
from torchvision import models, transforms  # noqa: E402 - as above

SEED: Final = 14
SPREAD: Final = 2.0
"""Standard deviation of a score over photos."""
IMAGENET: Final = list(models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"])

Export = Callable[[Any, Any, Path], None]


def legacy(model: Any, example: Any, path: Path) -> None:
    """The exporter by TorchScript with its defaults: the batch is fixed to the example's."""
    torch.onnx.export(model, (example,), str(path), dynamo=False)


def dynamo(model: Any, example: Any, path: Path) -> None:
    """The exporter by torch.export, with a batch of any size and the weights beside the graph."""
    shapes = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(model, (torch.cat([example, example]),), str(path), dynamo=True, dynamic_shapes=shapes)


def default(model: Any, example: Any, path: Path) -> None:
    """What a newcomer writes."""
    torch.onnx.export(model, (example,), str(path))


def in_one_file(model: Any, example: Any, path: Path) -> None:
    """The legacy exporter with a batch of any size and names."""
    torch.onnx.export(
        model,
        (example,),
        str(path),
        dynamo=False,
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
    )


def with_external_data(model: Any, example: Any, path: Path) -> None:
    """A graph whose weights lie in a file beside it."""
    import onnx

    in_one_file(model, example, path)
    graph = onnx.load(str(path))
    onnx.save_model(graph, str(path), save_as_external_data=True, location="weights.bin", size_threshold=1024)


def settle(model: Any, last: Any, inputs: Any) -> Any:
    """Make answers differ between photos (see the module), and return the model for inference."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0  # the statistics of this batch, not a mixture with those of the beginning
        model.train()
        model(inputs)
        for norm in norms:
            norm.momentum = 0.1
        model.eval()
        scores = model(inputs)
        factor = SPREAD / scores.std(dim=0).mean()
        last.weight *= factor
        last.bias.copy_((last.bias - scores.mean(dim=0)) * factor)
    return model


def answers(model: Any, last: Any, inputs: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The scores of all inputs, one by one, and what the layer `last` was given."""
    given: list[Any] = []
    handle = last.register_forward_pre_hook(lambda _module, arguments: given.append(arguments[0].float().numpy()))
    with torch.no_grad():
        scores = [model(one[None]).float().numpy() for one in inputs]
    handle.remove()
    return np.concatenate(scores), np.concatenate(given)


class Zoo:
    """Writes models into the folder `out`, which has the pictures."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._photos = pictures(out)

    def add(
        self,
        name: str,
        model: Any,
        *,
        last: Any,
        prepare: Callable[[Image.Image], Any],
        said: str,
        export: Export = in_one_file,
        probabilities: Callable[[NDArray[Any]], NDArray[Any]] = softmax,
        half: bool = False,
        embedding: bool = False,
    ) -> None:
        """Settle a model, export it and write down its answers.

        `last` is its last layer, `prepare` makes its input of a picture, and `said` are the arguments of the import, at
        the end the file of labels.
        """
        inputs = torch.stack([prepare(photo) for photo in self._photos])
        if not getattr(model, "settled", False):
            settle(model, last, inputs[:32])
            model.settled = True
        if half:
            model, inputs = model.half(), inputs.half()
        folder = folder_of(self.out, name)
        export(model, inputs[:1], folder / MODEL)
        scores, features = answers(model, last, inputs)
        classes = scores.shape[1]
        if not (labels := folder / said.rsplit(maxsplit=1)[-1]).exists():  # Hugging Face's config.json has them
            write_labels(labels, IMAGENET if classes == 1000 else [f"class {number}" for number in range(classes)])
        words = [*(("--embedding", _value_before(folder / MODEL)) if embedding else ()), *said.split()]
        kept = features if embedding else None
        found = probabilities(scores)
        save(self.out, name, Recipe(arguments=words), probabilities=found, inputs=inputs.numpy(), embedding=kept)


def _value_before(path: Path) -> str:
    """The name of what the last fully connected layer of a graph takes."""
    import onnx

    nodes = [node for node in onnx.load(str(path), load_external_data=False).graph.node if node.op_type == "Gemm"]
    return str(nodes[-1].input[0])


def add_torchvision(zoo: Zoo) -> None:
    """A ResNet-18 and a MobileNetV3, in three exports each; torchvision's own transforms."""
    resnet, mobilenet = models.resnet18(), models.mobilenet_v3_small()
    for name, net, last, weights in (
        ("resnet18", resnet, resnet.fc, models.ResNet18_Weights.IMAGENET1K_V1),
        ("mobilenet_v3", mobilenet, mobilenet.classifier[-1], models.MobileNet_V3_Small_Weights.IMAGENET1K_V1),
    ):
        for export, ending in ((legacy, "txt"), (dynamo, "csv"), (default, "json")):
            said = f"--preset torchvision --labels labels.{ending}"
            prepare = weights.transforms()
            zoo.add(f"{name}_{export.__name__}", net, last=last, prepare=prepare, said=said, export=export)


def add_variants(zoo: Zoo) -> None:
    """External data, several labels at once, an embedding put out, half precision."""
    plain = "--preset torchvision --labels labels.txt"
    common: dict[str, Any] = {"prepare": models.ResNet18_Weights.IMAGENET1K_V1.transforms(), "said": plain}
    net = models.resnet18(num_classes=10)
    zoo.add("external", net, last=net.fc, **common, export=with_external_data)
    net = models.resnet18(num_classes=10)
    zoo.add("embedding", net, last=net.fc, **common, embedding=True)
    net = models.resnet18(num_classes=20)
    zoo.add("multilabel", net, last=net.fc, **{**common, "said": f"--scores sigmoid {plain}"}, probabilities=sigmoid)
    net = models.mobilenet_v3_small(num_classes=10)
    common["said"] = f"--tolerance 0.01 {plain}"  # half precision is no more precise
    zoo.add("half", net, last=net.classifier[-1], **common, half=True)


def add_grey(zoo: Zoo) -> None:
    """A small network for grey pictures of 28 x 28, prepared as the MNIST example does."""
    nn = torch.nn
    beginning = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(
        *beginning, nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 14 * 14, 10)
    )
    resize = [transforms.Resize((28, 28)), transforms.Grayscale(), transforms.ToTensor()]
    prepare = transforms.Compose([*resize, transforms.Normalize((0.1307,), (0.3081,))])
    said = "--resize squash --crop 28x28 --interpolation bilinear --colour grey --mean 0.1307 --std 0.3081"
    zoo.add("grey", net, last=net[-1], prepare=prepare, said=f"{said} --scale 1/255 --labels labels.csv")


def add_timm(zoo: Zoo) -> None:
    """A convolutional network and a transformer of timm, with the config.json that its hub holds."""
    for name in ("mobilenetv3_small_050", "vit_tiny_patch16_224"):
        net = timm.create_model(name, pretrained=False)
        folder = folder_of(zoo.out, f"timm_{name}")
        timm.models.save_for_hf(net, str(folder), safe_serialization=False)
        for weights in folder.glob("pytorch_model*"):
            weights.unlink()
        prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(net), is_training=False)
        said = "--from config.json --labels labels.txt"
        zoo.add(folder.name, net, last=net.get_classifier(), prepare=prepare, said=said)


def add_hugging_face(zoo: Zoo) -> None:
    """A small ViT; its labels are in config.json, its preprocessing in preprocessor_config.json."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    labels = {number: f"breed {number}" for number in range(12)}
    size = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 192}
    config = ViTConfig(**size, id2label=labels, label2id={label: number for number, label in labels.items()})
    net, processor = ViTForImageClassification(config), ViTImageProcessor()
    folder = folder_of(zoo.out, "hf_vit")
    processor.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config.to_dict(), indent=1, default=str) + "\n")

    class Logits(torch.nn.Module):
        def forward(self, pixels: Any) -> Any:
            return net(pixels).logits

    def prepare(photo: Image.Image) -> Any:
        return processor(photo, return_tensors="pt")["pixel_values"][0]

    said = "--from preprocessor_config.json --labels config.json"
    zoo.add(folder.name, Logits(), last=net.classifier, prepare=prepare, said=said, export=dynamo)


def main(out: Path) -> None:
    """Write all models."""
    torch.manual_seed(SEED)
    zoo = Zoo(out)
    add_torchvision(zoo)
    add_timm(zoo)
    add_variants(zoo)
    add_grey(zoo)
    add_hugging_face(zoo)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
