"""Models as the service has them."""

from tests.protocol.conftest import served

__all__ = ["served"]
