"""`topfive example`: how to serve a model and to ask it, for copying: curl, Python, and the stock Triton clients."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive.models.wiring import apply, classifies
from topfive.repository.reading import Repository, StoredModel
from topfive_pipeline.commands.running import run
from topfive_pipeline.commands.screen import Screen

_URL: Final = re.compile(r"https?://[^\s'\"\\]+")
_TEXT: Final = """\
# Serve it
topfive --model-repository {repository}

# curl{only}
curl --data-binary @photo.jpg '{url}/v1/classify?model={name}'

# Python: pip install requests
import requests

with open("photo.jpg", "rb") as photo:
    answer = requests.post("{url}/v1/classify", params={{"model": "{name}"}}, data=photo, timeout=10)
answer.raise_for_status()
for prediction in answer.json()["predictions"]:
    print(f"{{prediction['probability']:.3f}}  {{prediction['label']}}")

# The Open Inference Protocol: pip install 'tritonclient[http]' pillow
import numpy as np
import tritonclient.http
from PIL import Image

image = np.asarray(Image.open("photo.jpg").convert("RGB"){resized})[np.newaxis]  # UINT8 [images, height, width, 3]
client = tritonclient.http.InferenceServerClient("{host}")
tensor = tritonclient.http.InferInput("{input}", image.shape, "UINT8").set_data_from_numpy(image)
answer = client.infer("{name}", [tensor])
{outputs}
"""


def example(
    name: Annotated[str, Argument(help="The model's name.", metavar="NAME", show_default=False)],
    repository: Annotated[Path, Option(help="The model repository.")] = Path("my_models"),
    url: Annotated[str, Option(help="Where it is served.")] = "http://127.0.0.1:8000",
) -> int:
    """Show how to serve a model and how to ask it, ready to be copied."""
    if not _URL.fullmatch(url):
        raise ConfigurationError(f"--url {url}: it is no address of a service; say http://127.0.0.1:8000")
    model = _model(repository, name)
    tensor = model.config.inputs[0]
    height, width = tensor.shape[1:3]
    Screen().command_block(
        _TEXT.format(
            repository=shlex.quote(str(repository)),
            name=name,
            url=url.rstrip("/"),
            host=url.rstrip("/").partition("://")[2],
            input=tensor.name,
            only="" if height < 0 else f": this model takes images of {height} x {width} pixels only",
            resized="" if height < 0 else f".resize(({width}, {height}))",
            outputs="\n".join(f'print(answer.as_numpy("{output.name}")[0])' for output in model.config.outputs),
        )
    )
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive example` with `arguments`; return its exit code."""
    return run(example, "example", arguments)


def _model(repository: Path, name: str) -> StoredModel:
    if not repository.is_dir():
        raise ConfigurationError(f"--repository {repository}: there is no such folder; name a model repository")
    models = apply({}, Repository(repository).read())
    called = {each: model for each, model in models.items() if model.config.steps or classifies(model)}
    if name not in called:
        raise ConfigurationError(f"{repository} has no model '{name}' that can be asked; it has {', '.join(called)}")
    return called[name]
