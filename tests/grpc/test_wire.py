"""A message is taken apart as protobuf's own parser would read it, without a copy of its tensors."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from tests.protocol.conftest import TAKEN
from tests.testkit.grpc_messages import FIELDS, in_parts, mutants, requests
from topfive.ground.errors import MalformedRequest
from topfive.grpc.wire import split


def as_protobuf_reads(message: bytes) -> tuple[bytes, list[bytes]] | None:
    """The rest, as protobuf writes it, and the tensors; None if it is no message."""
    try:
        whole = pb.ModelInferRequest.FromString(message)
    except DecodeError:
        return None
    tensors = list(whole.raw_input_contents)
    whole.ClearField("raw_input_contents")
    return whole.SerializeToString(deterministic=True), tensors


def as_taken_apart(message: bytes) -> tuple[bytes, list[bytes]] | None:
    try:
        rest, tensors = split(message)
        read = pb.ModelInferRequest.FromString(rest)
    except (MalformedRequest, DecodeError):
        return None
    assert not read.raw_input_contents
    return read.SerializeToString(deterministic=True), [bytes(tensor) for tensor in tensors]


@given(
    request=requests(TAKEN["tiny"]), raw=st.lists(st.binary(max_size=300), max_size=4), order=st.permutations(FIELDS)
)
def test_legal_messages_are_read_alike_whatever_the_order_of_their_fields(
    request: tuple[pb.ModelInferRequest, object], raw: list[bytes], order: list[str]
) -> None:
    message, _ = request
    message.raw_input_contents[:] = raw
    written = in_parts(message, order)
    assert as_taken_apart(written) == as_protobuf_reads(written) is not None


@given(mutants(TAKEN["tiny"]) | st.binary(max_size=30))
@example(b"")
@example(b"\x3a")  # a tensor without a length
@example(b"\x3a\x05abc")  # a tensor that is cut short
@example(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")  # of 2^63-1 bytes
@example(b"\x3a" + b"\xff" * 11)  # a length without an end
@example(b"\x38\x05")  # its number with another wire type
@example(b"\xba\x00\x01x")  # its tag in two bytes
@example(b"\x3d\0\0\0\0\x39" + bytes(8))  # the fixed types
@example(b"\x39\0\0")
def test_what_is_read_of_any_bytes_is_what_protobuf_reads(message: bytes) -> None:
    """Or else refused, which protobuf may not: groups, which no request has, and tags longer than they need be."""
    found = as_taken_apart(message)
    assert found is None or found == as_protobuf_reads(message)


def test_tensors_are_views_of_the_message() -> None:
    request = pb.ModelInferRequest(raw_input_contents=[b"first", b"", b"second"])
    message = request.SerializeToString()
    rest, tensors = split(message)
    assert rest == b""
    assert [bytes(tensor) for tensor in tensors] == [b"first", b"", b"second"]
    assert all(tensor.obj is message for tensor in tensors)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"\x3a\x05abc", "byte 1 is cut short"),
        (b"\x0a\x01m\x3a" + b"\xff" * 11, "number"),
        (b"\x0b", "no field of one"),
        (b"\x3a\x00" * 1001, "more than 1000 fields"),
        (b"\x2a\x00" * 500_000, "more than 1000 fields"),
    ],
)
def test_what_is_no_message_is_refused_with_what_is_wrong(message: bytes, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        split(message)


def test_a_message_of_as_many_fields_as_may_be_is_taken() -> None:
    assert len(split(b"\x3a\x00" * 1000).tensors) == 1000
