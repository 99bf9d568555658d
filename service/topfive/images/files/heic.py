"""HEIC, if the extra `heic` is installed: it adds a plug-in to Pillow."""

from __future__ import annotations

from topfive.ground.errors import UnsupportedMediaType

try:
    import pillow_heif
except ImportError:
    IS_SERVED = False
else:
    IS_SERVED = True
    # There is already one prepare thread for each core.
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def check_heic() -> None:
    """If HEIC is not served, raise `UnsupportedMediaType`, which says what to do."""
    if not IS_SERVED:
        raise UnsupportedMediaType(
            "the body is a HEIC image, which this installation does not serve: send JPEG (an iPhone does so with the "
            "setting Camera, Formats, Most Compatible), or have the operator install topfive[heic]"
        )
