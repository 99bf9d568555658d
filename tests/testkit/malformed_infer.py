"""Inference requests that a service must refuse: by class, each with the status and a word of the message.

What lives here: the classes of malformed requests that the protocol's own servers are known to meet, as bytes, for a
model `tiny` that takes images [-1, -1, -1, 3] of UINT8 called `image`, at most 8 at once, and answers `classes`,
`probabilities` and `indices`. What does not: the asking.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.testkit.oip_bodies import Body, binary_body, image_input, json_body

LENGTH: Final = "Inference-Header-Content-Length"
SHAPE: Final = (1, 2, 2, 3)
DATA: Final = list(range(12))
PIXELS: Final = bytes(DATA)
MAX_JSON_BYTES: Final = 100_000
"""What the service must be started with for the last classes."""


@dataclass(frozen=True)
class Wrong:
    """One request and its refusal."""

    name: str
    content: bytes
    word: str
    status: int = 400
    code: str = "malformed_request"
    headers: dict[str, str | bytes] = field(default_factory=dict)


def _wrong(name: str, body: Body, word: str, status: int = 400, code: str = "malformed_request") -> Wrong:
    return Wrong(name, body.content, word, status, code, dict(body.headers))


def _text(name: str, content: str | bytes, word: str = "not JSON") -> Wrong:
    return Wrong(name, content if isinstance(content, bytes) else content.encode(), word)


GOOD: Final = json.dumps({"inputs": [image_input(SHAPE, data=DATA)]})


def _odd(*values: Any) -> tuple[Any, ...]:
    """Values of any types."""
    return values


def _with(**more: Any) -> Body:
    """A good request of JSON, with `more` in it."""
    return json_body({"inputs": [image_input(SHAPE, data=DATA)]} | more)


def _input(**changed: Any) -> Body:
    """A good request of JSON whose input is changed; what is None is left out."""
    tensor = image_input(SHAPE, data=DATA) | changed
    return json_body({"inputs": [{key: value for key, value in tensor.items() if value is not None}]})


def _binary(tensors: bytes = PIXELS, *, size: Any = 12, shape: Any = SHAPE, off_by: int = 0, **more: Any) -> Body:
    tensor = image_input(SHAPE, parameters={"binary_data_size": size}, **more) | {"shape": shape}
    return binary_body({"inputs": [tensor]}, tensors, off_by=off_by)


def _hole(template: Body, token: str) -> bytes:
    """`template` with text that no JSON writer would write where it says "@"."""
    assert b'"@"' in template.content
    return template.content.replace(b'"@"', token.encode())


def _not_json() -> Iterator[Wrong]:
    yield _text("empty body", "")
    yield _text("words", "hello")
    yield _text("cut short", GOOD[:-1])
    yield _text("cut in the data", GOOD[: GOOD.index("data") + 12])
    yield _text("garbage after it", GOOD + "x")
    yield _text("twice", GOOD + GOOD)
    yield _text("bad UTF-8", GOOD.encode().replace(b"image", b"imag\xff"))
    yield _text("UTF-8 of a surrogate", GOOD.encode().replace(b"image", b"\xed\xa0\x80"))
    yield _text("byte order mark", b"\xef\xbb\xbf" + GOOD.encode())
    yield _text("UTF-16", GOOD.encode("utf-16"))
    yield _text("single quotes", GOOD.replace('"', "'"))
    yield _text("comment", GOOD + "// good")
    yield _text("trailing comma", GOOD[:-1] + ",}")
    yield _text("20000 brackets", "[" * 20_000 + "]" * 20_000)
    yield _text("20000 open brackets", "[" * 20_000)
    yield _text("id of 5000 braces", _hole(_with(id="@"), '{"a":' * 5000 + "1" + "}" * 5000))
    tokens = ("NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 5000, "01", "1_4", "+1", "0x10", ".5", "'1'")
    for token in tokens:
        yield _text(f"{token[:12]} for an element", _hole(_input(data=["@", *DATA[1:]]), token))
    for escape in (r'"\ud800"', r'"\udc00\ud800"', r'"\x41"', '"\x01"'):
        yield _text(f"id {escape!r}", _hole(_with(id="@"), escape))


def _not_a_request() -> Iterator[Wrong]:
    for value in _odd([], 1, 1.5, "inputs", None, True, [{"inputs": []}]):
        yield _text(f"top level {value!r}", json.dumps(value), "must be a JSON object")
    yield _text("no inputs", "{}", "'inputs' must be a list")
    yield _text("inputs in capitals", GOOD.replace("inputs", "Inputs"), "'inputs' must be a list")
    for value in _odd({}, None, "image", 1, True, [[]], [1], ["image"], [None], {"0": image_input(SHAPE, data=DATA)}):
        yield _wrong(f"inputs {str(value)[:20]}", json_body({"inputs": value}), "'inputs' must be a list")
    for value in _odd({}, "classes", 1, True, [[]], ["classes"], [None], [1]):
        yield _wrong(f"outputs {value!r}", _with(outputs=value), "'outputs' must be a list")
    for value in _odd([], "timeout", 1, True, [{"timeout": 1}]):
        yield _wrong(f"parameters {value!r}", _with(parameters=value), "parameters of the request must be an object")
        yield _wrong(f"input parameters {value!r}", _input(parameters=value), "parameters of input 'image' must be")
    for value in _odd(1, 1.5, True, [], {}, ["1"], 2**64):
        yield _wrong(f"id {value!r}", _with(id=value), "'id' must be a string")
    yield _wrong("long id", _with(id="x" * 4097), "at most 4096 characters")


def _inputs() -> Iterator[Wrong]:
    good = image_input(SHAPE, data=DATA)
    yield _wrong("no input", json_body({"inputs": []}), "expected 1 input but got 0")
    yield _wrong("unknown input", _input(name="picture"), "unexpected inference input 'picture'")
    extra = json_body({"inputs": [good, good | {"name": "mask"}]})
    yield _wrong("extra input", extra, "unexpected inference input 'mask'")
    yield _wrong("same input twice", json_body({"inputs": [good, good]}), "expected 1 input but got 2")
    yield _wrong("many inputs", json_body({"inputs": [{"name": "image"}] * 1000}), "got 1000")
    yield _wrong("no name", _input(name=None), "unexpected inference input None")
    for value in _odd("", "Image", "image ", "imag\0e", "imág", 1, True, ["image"], {}):
        yield _wrong(f"name {value!r}", _input(name=value), "unexpected inference input")
    yield _wrong("long name", _input(name="x" * 50_000), "unexpected inference input 'xxx")
    yield _wrong("no datatype", _input(datatype=None), "has the datatype None")
    for value in _odd("uint8", "STRING", "TYPE_UINT8", "FP32", "INT8", "UINT8 ", "", 1, ["UINT8"], {}, True):
        yield _wrong(f"datatype {value!r}", _input(datatype=value), "but model 'tiny' takes 'UINT8'")
    deep = "[" * 1000 + "]" * 1000
    yield Wrong("name of 1000 brackets", _hole(_input(name="@"), deep), "unexpected inference input")
    yield Wrong("datatype of 1000 brackets", _hole(_input(datatype="@"), deep), "has the datatype")
    yield Wrong("shape of 1000 brackets", _hole(_input(shape="@"), deep), "whole numbers")
    yield Wrong("timeout of 1000 brackets", _hole(_with(parameters={"timeout": "@"}), deep), "a string, a number")


def _shapes() -> Iterator[Wrong]:
    yield _wrong("no shape", _input(shape=None), "shape of input 'image' must be a list")
    for value in _odd("1,2,2,3", 12, {}, True, {"0": 1}):
        yield _wrong(f"shape {value!r}", _input(shape=value), "shape of input 'image' must be a list")
    for size in _odd(-1, -(2**63), 1.0, 1.5, 2**63, 2**64, 10**30, True, False, "1", None, [], [1], {}):
        yield _wrong(f"size {size!r}", _input(shape=[1, 2, size, 3]), "whole numbers of at least 0")
    for shape in ([], [12], [2, 2, 3], [1, 1, 2, 2, 3], [1, 2, 3, 2], [1, 2, 2, 4], [3, 2, 2, 1], [1] * 1000):
        yield _wrong(f"shape {shape[:6]}", _input(shape=shape), "has the shape")
    yield _wrong("no image", _input(shape=[0, 2, 2, 3], data=[]), "count is 0")
    yield _wrong("no height", _input(shape=[1, 0, 2, 3], data=[]), "height is 0")
    yield _wrong("no width", _binary(b"", size=0, shape=[1, 2, 0, 3]), "width is 0")
    for count in (9, 64, 2**31, 2**32, 2**62, 2**63 - 1):
        body = _binary(PIXELS, shape=[count, 2, 2, 3])
        yield _wrong(f"{count} images", body, "inference request batch-size must be <= 8 for 'tiny'")
    for height, width in ((32_769, 1), (1, 2**31), (2**32, 2**32), (2**63 - 1, 2**63 - 1), (5001, 5000)):
        for count in (12, height * width * 3 % 2**64):
            body = _binary(PIXELS, size=count, shape=[1, height, width, 3])
            yield _wrong(f"{height}x{width}, {count} bytes", body, "the image ", 413, "too_large")


def _sizes() -> Iterator[Wrong]:
    for shape in ([1, 2, 3, 3], [1, 1, 2, 3], [2, 2, 2, 3], [8, 1000, 1000, 3]):
        yield _wrong(f"bytes for {shape}", _binary(shape=shape), "input byte size mismatch")
        yield _wrong(f"numbers for {shape}", _input(shape=shape), "the data of input 'image' has 12 numbers")
    for size in (11, 13, 0, 2**31, 2**32, 2**63, 2**64 - 1):
        yield _wrong(f"binary_data_size {size}", _binary(size=size), "input byte size mismatch")
    for value in _odd(-1, -12, 12.0, 1.5, "12", True, 2**64):
        yield _wrong(f"binary_data_size {value!r}", _binary(size=value), "'binary_data_size' of input 'image' must be")
    for value in _odd(None, [], {}, [12]):
        yield _wrong(f"binary_data_size {value!r}", _binary(size=value), "must be a string, a number or a boolean")
    yield _wrong("neither data nor size", _input(data=None), "has neither")
    yield _wrong("both data and size", _input(parameters={"binary_data_size": 12}), "has both")
    yield _wrong("both, and the bytes", _binary(data=DATA), "has both")
    yield _wrong("body one byte short", _binary(PIXELS[:-1]), "announces 12 bytes of binary data, but 11 follow")
    yield _wrong("body without the bytes", _binary(b""), "but 0 follow")
    yield _wrong("body one byte long", _binary(PIXELS + b"x"), "but 13 follow")
    yield _wrong("bytes after numbers", binary_body(json.loads(GOOD), b"x"), "1 bytes follow the JSON")


def _json_lengths() -> Iterator[Wrong]:
    whole = _binary()
    for stated in (len(whole.content) + 1, 2**31 - 1, 2**31, 2**32, 10**18 - 1):
        yield Wrong(f"N {stated}", whole.content, "but the body has only", headers={LENGTH: str(stated)})
    twice = f"{whole.json_length}, {whole.json_length}"
    signs = ("-1", "+1", "1_4", "12.5", "0x90", "1e2", "", "N", "9" * 19, "9" * 5000, twice)
    for text in (*signs, "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT THREE}"):
        yield Wrong(f"N {text[:20]!r}", whole.content, "plain decimal number", headers={LENGTH: text.encode()})
    yield _wrong("N one short", _binary(off_by=-1), "not JSON")
    yield _wrong("N one long", _binary(off_by=1), "not JSON")
    yield Wrong("no N", whole.content, "not JSON")
    yield Wrong("N is the body", whole.content, "not JSON", headers={LENGTH: str(len(whole.content))})
    yield Wrong("raw body for any size", PIXELS, "the raw input 'image' cannot be deduced", headers={LENGTH: "0"})
    yield Wrong("N 0 before JSON", GOOD.encode(), "cannot be deduced", headers={LENGTH: "0"})


def _elements() -> Iterator[Wrong]:
    for value in _odd(256, 300, -1, 2**31, 2**32, 2**63, 2**64, -(2**63), 1.5, 1.0, True, False, "5", "", None, {}):
        for place in (0, 11):
            data = [*DATA[:place], value, *DATA[place + 1 :]]
            yield _wrong(f"element {place} {value!r}", _input(data=data), "the data of input 'image'")
    for value in _odd("AAECAwQFBgcICQoL", 7, {}, {"0": 1}, True, [], [[]]):
        yield _wrong(f"data {value!r}", _input(data=value), "the data of input 'image'")
    for beside in _odd({}, "", "x", 1, None, [DATA], [[]]):
        yield _wrong(f"{beside!r:.20} beside a list", _input(data=[DATA, beside]), "the data of input 'image'")
    yield Wrong("null for data", _hole(_input(data="@"), "null"), "the data of input 'image'")
    yield _wrong("one number short", _input(data=DATA[:-1]), "has 11 numbers")
    yield _wrong("one number long", _input(data=[*DATA, 1]), "has 13 numbers")


def _outputs() -> Iterator[Wrong]:
    for name in _odd("no_such_output", "Classes", "", "image", 1, None, True, ["classes"], {}):
        yield _wrong(f"output {name!r}", _with(outputs=[{"name": name}]), "unexpected inference output")
    yield _wrong("output without a name", _with(outputs=[{}]), "it has 'classes', 'probabilities', 'indices'")
    yield _wrong("a good and a bad output", _with(outputs=[{"name": "classes"}, {"name": "x"}]), "output 'x'")

    def about(parameters: Any) -> Body:
        return _with(outputs=[{"name": "classes", "parameters": parameters}])

    for value in _odd(1, 0, "true", 1.0):
        yield _wrong(f"binary_data {value!r}", about({"binary_data": value}), "true or false")
    for value in _odd(None, [], {}):
        yield _wrong(f"binary_data {value!r}", about({"binary_data": value}), "a string, a number or a boolean")
    for value in _odd([], "x", 1):
        yield _wrong(f"output parameters {value!r}", about(value), "must be an object")
    yield _wrong("classification", about({"classification": 3}), "classification", 400, "unsupported")
    yield _wrong("output in shared memory", about({"shared_memory_region": "r"}), "shared memory", 400, "unsupported")
    region = {"shared_memory_region": "nope", "shared_memory_byte_size": 12}
    yield _wrong("input in shared memory", _input(data=None, parameters=region), "shared memory", 400, "unsupported")


def _parameters() -> Iterator[Wrong]:
    words = {"timeout": "microseconds", "priority": "whole number", "binary_data_output": "true or false"}
    for name, word in words.items():
        for value in _odd("1", -1, 1.5, 1.0, 2**64, *((1, 0) if name == "binary_data_output" else (True, False))):
            yield _wrong(f"{name} {value!r}", _with(parameters={name: value}), word)
        for value in _odd(None, [], {}, [1]):
            yield _wrong(f"{name} {value!r}", _with(parameters={name: value}), "a string, a number or a boolean")
    yield _wrong("timeout beyond 63 bits", _with(parameters={"timeout": 2**63}), "microseconds")
    yield _wrong("nested parameter", _with(parameters={"colour": {"space": "RGB"}}), "a string, a number or a boolean")
    yield _wrong("null parameter", _with(parameters={"colour": None}), "a string, a number or a boolean")
    yield _wrong("reserved parameter", _with(parameters={"triton_enable_empty_final_response": True}), "reserved")


def _coded() -> Iterator[Wrong]:
    good = GOOD.encode()
    for coding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        headers: dict[str, str | bytes] = {"Content-Encoding": coding}
        packed = compress(good)
        yield Wrong(f"{coding} that is none", good, f"not the {coding}", headers=headers)
        yield Wrong(f"{coding} of nothing", b"", f"ends before its {coding} stream does", headers=headers)
        yield Wrong(f"{coding} cut short", packed[:-9], "ends before", headers=headers)
        yield Wrong(f"{coding} one byte short", packed[:-1], "ends before", headers=headers)
        yield Wrong(f"{coding} with a byte after", packed + b"x", "bytes follow the end", headers=headers)
        yield Wrong(f"{coding} twice over", compress(packed), "not JSON", headers=headers)
        yield Wrong(f"{coding} with a wrong sum", packed[:-8] + bytes(8), f"not the {coding}", headers=headers)
        yield Wrong(f"{coding} of garbage", compress(b"garbage"), "not JSON", headers=headers)
        large = compress(b"[" + b"0," * MAX_JSON_BYTES + b"0]")
        yield Wrong(f"{coding} of too much", large, "inflates to more than", 413, "too_large", headers)
        lengths = headers | {LENGTH: str(len(good) + 1)}
        yield Wrong(f"N beyond what the {coding} holds", packed, "but the body has only", headers=lengths)
    bare = zlib.compress(good)[2:-4]
    yield Wrong("deflate without its head", bare, "not the deflate", headers={"Content-Encoding": "deflate"})
    for coding in ("br", "zstd", "compress", "gzip, gzip", "gzip,deflate", "identity, gzip", "*", "gzip;q=1", "GZIP2"):
        headers = {"Content-Encoding": coding}
        yield Wrong(f"Content-Encoding {coding}", bare, "is not served", 415, "unsupported_media_type", headers)


def _large() -> Iterator[Wrong]:
    word = f"at most {MAX_JSON_BYTES} are accepted; send pixels as a binary"
    blanks = GOOD + " " * MAX_JSON_BYTES
    yield Wrong("too much JSON", blanks.encode(), word, 413, "too_large")
    long = binary_body({"x": "x" * MAX_JSON_BYTES, **json.loads(GOOD)}, b"")
    yield _wrong("too much JSON before tensors", long, word, 413, "too_large")


WRONG: Final = [
    wrong
    for rows in (
        *(_not_json, _not_a_request, _inputs, _shapes, _sizes, _json_lengths, _elements, _outputs, _parameters),
        *(_coded, _large),
    )
    for wrong in rows()
]
