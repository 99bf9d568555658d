"""What the tests of the page share: one browser a module, and visits that are judged at their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.testkit.browser import Visit, launched
from tests.testkit.serving_process import ServingProcess

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def visit(browser: Browser, service: ServingProcess) -> Iterator[Open]:
    """A function that opens the page, by default of the service on the real model; each visit is judged at its end."""
    visits: list[Visit] = []

    def go(to: ServingProcess = service, **options: Any) -> Visit:
        visits.append(Visit(browser, to, **options))
        return visits[-1]

    yield go
    for each in visits:
        each.finish()
