"""What the tests of recipes share."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch takes one: small networks are no faster on two, and far slower where tests run beside each other.

    And the same seed gives the same bits, for sums of several threads may be added in another order.
    """
    torch = sys.modules.get("torch")  # without the extra `export` there is none
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    yield
    if torch:
        torch.set_num_threads(before)
