"""Models as the service has them."""

from tests.inference_protocol.conftest import served

__all__ = ["served"]
