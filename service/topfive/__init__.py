"""topfive: any-size uint8 images in, five labels with their probabilities out."""

import os

# Since 1.29 onnxruntime on Linux reports usage unless told otherwise before it is imported, which is after this line.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # noqa: TID251  # set, not read

__version__ = "0.1.0"
