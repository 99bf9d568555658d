"""Load tests of a running server, over HTTP and gRPC. They import nothing of the service."""

import os

# Set before ONNX Runtime (for the oracle) is first imported: it then sends no telemetry.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251  # set, not read
