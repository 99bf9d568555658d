"""The names of the files and folders in the model repository."""

from pathlib import Path

ENSEMBLE_NAME = "efficientnet_lite0"
RESIZE_NAME = "efficientnet_lite0_resize"
CLASSIFY_NAME = "efficientnet_lite0_classify"

RESIZE = Path(RESIZE_NAME, "1", "model.onnx")
CLASSIFY = Path(CLASSIFY_NAME, "1", "model.onnx")
LABELS = Path(ENSEMBLE_NAME, "labels.txt")
ARTEFACTS = (CLASSIFY, LABELS, RESIZE)
"""The files that an export makes, relative to the repository; without configurations, which are kept by hand."""

SUMS = Path("SHA256SUMS")
"""The digests of the artefacts, in the format of sha256sum."""
