"""Makes model repositories for the commands, with models that fail on some images, or that have several versions.

They are the tiny graphs of the tests, which load at once. An image whose brightest value is v gets the label "value v".
"""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.testkit import tiny_models
from tests.testkit.tiny_models import (
    BATCHING,
    HIGHEST_VALUE,
    IMAGE,
    OUTPUTS,
    PIXELS,
    classifier_graph,
    config,
    write_model,
)

STURDY, POISONOUS, CHANGING = "tiny", "poisonous", "changing"
"""An ensemble for any image size that never fails; a model that fails on bright images; a model with versions."""

BRIGHTEST = 255
POISON = HIGHEST_VALUE + 10
"""A value that the poisonous model cannot label: its graph raises, and the whole batch fails."""

QUEUE_DELAY = "dynamic_batching {{ max_queue_delay_microseconds: {} }}\n"


def image(value: int, *, height: int = 2, width: int = 2) -> npt.NDArray[np.uint8]:
    """An image that the tiny graphs label "value `value`"."""
    return np.full((height, width, 3), value, np.uint8)


def write_sturdy(repository: Path) -> None:
    """Write the ensemble, with a label for every brightness."""
    write_model(repository, "crop", tiny_models.CROP_CONFIG, tiny_models.shrink_graph())
    write_model(repository, "classify", tiny_models.CLASSIFIER_CONFIG, classifier_graph(labels=BRIGHTEST + 5))
    write_model(repository, STURDY, tiny_models.ensemble_config())


def write_poisonous(repository: Path, *, delay_microseconds: int) -> None:
    """Write the model that fails; its batches of up to 8 wait for `delay_microseconds`."""
    settings = config([PIXELS], OUTPUTS, QUEUE_DELAY.format(delay_microseconds))
    write_model(repository, POISONOUS, settings, classifier_graph())


def write_version(repository: Path, version: int) -> None:
    """Write a version of the model with versions; its labels name the version: "v2 value 7"."""
    graph = classifier_graph(IMAGE, prefix=f"v{version} value", labels=BRIGHTEST + 5)
    write_model(repository, CHANGING, config([IMAGE], OUTPUTS, BATCHING), graph, versions=[version])


def remove_version(repository: Path, version: int) -> None:
    """Remove a version from the repository; a service that has loaded it serves it until the next `load`."""
    shutil.rmtree(repository / CHANGING / str(version))


def link_models(repository: Path, source: Path) -> None:
    """Add links to the models of another repository."""
    for model in source.iterdir():
        if (model / "config.pbtxt").is_file():
            (repository / model.name).symlink_to(model.resolve(), target_is_directory=True)
