"""Load on a service that runs elsewhere: it talks HTTP and gRPC to it, and imports nothing of it."""

import os

# The oracle's runtime sends none of its telemetry; before it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251  # set, not read
