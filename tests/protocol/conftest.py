"""Models as the service has them, made by the service's own loader."""

from __future__ import annotations

import asyncio

import pytest

from tests.testkit.oip_bodies import Input
from tests.testkit.tiny_models import (
    BATCHING,
    IMAGE,
    OUTPUTS,
    PIXELS,
    classifier_graph,
    config,
    write_model,
    write_tiny_repository,
)
from topfive.app import create_serving
from topfive.config.settings import Settings
from topfive.models.served import ServedModel

SCORES = ("scores", 2, (-1, 2, 3))
"""A UINT8 output beside those that every classifier has."""


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServedModel]:
    """`tiny`, an ensemble for images of any size; `classify`, for 2 x 2; `wide`, of any size and four outputs."""
    repository = write_tiny_repository(tmp_path_factory.mktemp("served"))
    write_model(repository, "wide", config([IMAGE], [*OUTPUTS, SCORES], BATCHING), classifier_graph(IMAGE))
    serving = create_serving(
        Settings(model_repository=repository, backend="null"), on_fatal=lambda: pytest.fail("the service failed")
    )

    async def load() -> list[ServedModel]:
        serving.start()
        await serving.wait_until_loaded()
        models = list(serving.models)
        await serving.stop()
        return models

    return {model.name: model for model in asyncio.run(load())}


NAMES = [name for name, *_ in OUTPUTS]
TAKEN = {
    "tiny": Input("image", IMAGE[2], tuple(NAMES), 8),
    "classify": Input("pixels", PIXELS[2], tuple(NAMES), 8),
    "wide": Input("image", IMAGE[2], (*NAMES, "scores"), 8),
}
"""What they take, as their configurations say."""
