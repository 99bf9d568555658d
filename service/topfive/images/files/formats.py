"""Tells a file's format by its first bytes, whatever its name or its media type says.

What lives here: the known formats, served or not, and their signatures. What does not: text-like formats
(`images.files.texts`), decoding, and whether a file is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import TopfiveError, UndecodableImage, UnsupportedMediaType
from topfive.images.files.texts import name_of_text

SNIFFED_BYTES: Final = 4096
"""How many bytes at the start are looked at: an SVG may have comments before its first element."""

_SHOWN_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    `pillow`: its name in Pillow, None if it is not served. `name`: for a sentence such as "the body looks like ...".
    `remedy`: what the client should do if the format is not served; None if it should just send another format.
    """

    name: str
    pillow: str | None = None
    media_type: str | None = None
    remedy: str | None = None

    @property
    def is_served(self) -> bool:
        """Whether images of this format are decoded."""
        return self.pillow is not None

    @property
    def short(self) -> str:
        """The name of a served format in one word, as metrics have it."""
        return (self.media_type or "").removeprefix("image/")


JPEG: Final = Format("a JPEG", "JPEG", "image/jpeg")
PNG: Final = Format("a PNG", "PNG", "image/png")
WEBP: Final = Format("a WebP", "WEBP", "image/webp")
GIF: Final = Format("a GIF", "GIF", "image/gif")
BMP: Final = Format("a BMP", "BMP", "image/bmp")
AVIF: Final = Format("an AVIF", "AVIF", "image/avif")
TIFF: Final = Format("a TIFF", "TIFF", "image/tiff")
HEIC: Final = Format("a HEIC", "HEIF", "image/heic")

SERVED: Final = (JPEG, PNG, WEBP, GIF, BMP, AVIF, TIFF)
"""The formats that every installation decodes; with its extra installed, HEIC is decoded too."""
SERVED_NAMES: Final = "JPEG, PNG, WebP, GIF, BMP, AVIF or TIFF"

_RAW: Final = "a camera's raw file"
_VIDEO: Final = "a video"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JXL: Final = Format("a JPEG XL")
_JP2: Final = Format("a JPEG 2000")

_SIGNATURES: Final[tuple[tuple[bytes, Format], ...]] = (
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0\x10\0\0\0CR", Format(f"{_RAW} (CR2)")),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"\xff\x0a", _JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JXL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _JP2),
    (b"\xff\x4f\xff\x51", _JP2),
    (b"8BPS", Format("a Photoshop document (PSD)")),
    (b"\0\0\1\0", Format("an icon (ICO)")),
    (b"\0\0\2\0", Format("a cursor (CUR)")),
    (b"icns", Format("an icon (ICNS)")),
    (b"v/1\1", Format("an OpenEXR image")),
    (b"#?RADIANCE", Format("a Radiance HDR image")),
    (b"DDS ", Format("a DirectDraw surface (DDS)")),
    (b"qoif", Format("a QOI image")),
    (b"gimp xcf", Format("a GIMP document (XCF)")),
    (b"AT&TFORM", Format("a DjVu document")),
    (b"\x8aMNG", Format("an MNG animation")),
    (b"\xd7\xcd\xc6\x9a", Format("a Windows metafile (WMF)")),
    (b"FUJIFILMCCD-RAW", Format(f"{_RAW} (RAF)")),
    (b"IIRO", Format(f"{_RAW} (ORF)")),
    (b"IIRS", Format(f"{_RAW} (ORF)")),
    (b"IIU\0", Format(f"{_RAW} (RW2)")),
    (b"FOVb", Format(f"{_RAW} (X3F)")),
    (b"\x1a\x45\xdf\xa3", Format(f"{_VIDEO} (WebM or Matroska)")),
    (b"\0\0\1\xba", Format(f"{_VIDEO} (MPEG)")),
    (b"\0\0\1\xb3", Format(f"{_VIDEO} (MPEG)")),
    (b"OggS", Format("an Ogg file")),
    (b"ID3", Format("an MP3 file")),
    (b"\x1f\x8b", Format("a gzip file", remedy="send what is in it, or announce it with Content-Encoding: gzip")),
    (b"PK\3\4", Format("a ZIP archive", remedy="send the image that is in it")),
    (b"BZh", Format("a bzip2 file", remedy="send what is in it")),
    (b"\xfd7zXZ\0", Format("an xz file", remedy="send what is in it")),
    (b"\x28\xb5\x2f\xfd", Format("a Zstandard file", remedy="send what is in it")),
    (b"7z\xbc\xaf\x27\x1c", Format("a 7-Zip archive", remedy="send the image that is in it")),
    (b"Rar!\x1a\7", Format("a RAR archive", remedy="send the image that is in it")),
    (b"\x93NUMPY", Format("a NumPy array", remedy="send its uint8 pixels raw, with ?height= and ?width=")),
    (b"\0\5\x16\7", Format("an AppleDouble file (macOS keeps it beside a file)", remedy="send the file itself")),
    (b"\xc5\xd0\xd3\xc6", Format("an EPS document")),
)

_BITMAP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)
_AVIF_BRANDS: Final = (b"avif", b"avis")
_HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_HEIF_BRANDS: Final = (b"mif1", b"msf1", b"mif2")
_MAX_BRANDS: Final = 64
_QUICKTIME_BOXES: Final = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def sniff(head: bytes | bytearray | memoryview) -> Format | None:
    """The format of a file that begins with `head`, None if it is not known; `SNIFFED_BYTES` of the file are enough.

    Nothing is decoded, so the file may still be damaged.
    """
    head = bytes(head[:SNIFFED_BYTES])
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    for look in (_further, _riff, _bitmap, _boxes):
        if (found := look(head)) is not None:
            return found
    text = name_of_text(head)
    return None if text is None else Format(text.name, remedy=text.remedy)


def _riff(head: bytes) -> Format | None:
    if not head.startswith(b"RIFF"):
        return None
    kind = head[8:12]
    return {b"WEBP": WEBP, b"AVI ": Format(f"{_VIDEO} (AVI)"), b"WAVE": Format("a sound (WAV)")}.get(kind)


def _bitmap(head: bytes) -> Format | None:
    """BMP, if a header of a known size follows `BM`: any text may begin with these letters."""
    is_bitmap = head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS
    return BMP if is_bitmap else None


def _boxes(head: bytes) -> Format | None:
    """The format by the brands of an ISO base media file: pictures and videos look alike before them."""
    kind = head[4:8]
    if kind != b"ftyp":
        return Format(f"{_VIDEO} (QuickTime)") if kind in _QUICKTIME_BOXES else None
    length = min(int.from_bytes(head[:4], "big"), 8 + 4 * _MAX_BRANDS)
    major = head[8:12]
    if len(major) < 4:
        return None
    brands = {major} | {head[at : at + 4] for at in range(16, length, 4)}
    if major in _AVIF_BRANDS or (major in _HEIF_BRANDS and brands & set(_AVIF_BRANDS)):
        return AVIF
    if major in (*_HEIC_BRANDS, *_HEIF_BRANDS) or brands & set(_HEIC_BRANDS):
        return HEIC
    if major == b"crx ":
        return Format(f"{_RAW} (CR3)")
    return Format(f"{_VIDEO} (MP4 or QuickTime)")


def _further(head: bytes) -> Format | None:
    if head.startswith(_PNG) and head[12:16] == b"CgBI":
        return Format(
            "a PNG of iOS's own kind (CgBI)", remedy="send the file as it was before Xcode changed it, or JPEG"
        )
    if head[128:132] == b"DICM":
        return Format("a DICOM file")
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace():
        return Format("a PNM image (PPM, PGM or PBM)")
    if head.startswith(_PNG):
        return PNG
    return None


def refusal(head: bytes | bytearray | memoryview, found: Format | None) -> TopfiveError:
    """The error for a body that begins with `head` and is not a served image; it says what the bytes look like.

    A known format gives 415, because another format would be accepted; bytes of no known format give 422.
    """
    if found is not None:
        remedy = found.remedy or f"send {SERVED_NAMES}"
        return UnsupportedMediaType(f"the body looks like {found.name}, which is not served; {remedy}")
    logged = "the body is no image of a known format"
    return UndecodableImage(
        f"{logged}: {_appearance(bytes(head[:SNIFFED_BYTES]))}; send the bytes of a {SERVED_NAMES} file", logged=logged
    )


def _appearance(head: bytes) -> str:
    if not head:
        return "it is empty"
    if not any(head):
        return "it begins with zeros only"
    try:
        shown = head[:40].decode("ascii")
    except UnicodeDecodeError:
        shown = ""
    if shown and all(character.isprintable() or character.isspace() for character in shown):
        return f"it begins with the text '{' '.join(shown.split())}'"
    return f"it begins with the bytes {head[:_SHOWN_BYTES].hex(' ')}"
