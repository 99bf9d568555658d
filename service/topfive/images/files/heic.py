"""HEIC, where the extra `heic` is installed: Pillow knows it by a plug-in of its own."""

from __future__ import annotations

from topfive.ground.errors import UnsupportedMediaType

try:
    import pillow_heif
except ImportError:
    IS_SERVED = False
else:
    IS_SERVED = True
    # The prepare threads are one for each core already.
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def check_heic() -> None:
    """Raise `UnsupportedMediaType` with what to do where HEIC is not served."""
    if not IS_SERVED:
        raise UnsupportedMediaType(
            "the body is a HEIC image, which this installation does not serve: send JPEG (an iPhone does so with the "
            "setting Camera, Formats, Most Compatible), or have the operator install topfive[heic]"
        )
