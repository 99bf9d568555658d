"""The messages of `grpc.health.v1` and of gRPC's reflection, described in Python.

The packages that have them (grpcio-health-checking, grpcio-reflection) need a newer protobuf than Triton's messages
allow. These messages are in a pool of their own, so a program can import those packages beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

POOL: Final[Any] = DescriptorPool()

_REPEATED: Final = "repeated "
_SCALARS: Final = {"string": 9, "bytes": 12, "int32": 5}
"""Protobuf's number of each scalar type that is used here, by its name."""
_MESSAGE, _ENUM = 11, 14

Fields = Mapping[str, tuple[int, str]]
"""By field name, its number and type: a scalar or a message's full name after a dot, with or without `repeated`."""
Methods = Mapping[str, tuple[str, str]]


def _add_message(file: Any, name: str, fields: Fields, *, one_of: str = "", plain: Sequence[str] = ()) -> None:
    """Describe a message in `file`; if `one_of` is given, all fields but the `plain` ones are in that oneof."""
    message = file.message_type.add(name=name)
    if one_of:
        message.oneof_decl.add(name=one_of)
    for field_name, (number, given) in fields.items():
        kind = given.removeprefix(_REPEATED)
        field = message.field.add(name=field_name, number=number, label=3 if given.startswith(_REPEATED) else 1)
        field.type = _SCALARS.get(kind, _MESSAGE)
        if kind not in _SCALARS:
            field.type_name = kind
        if one_of and field_name not in plain:
            field.oneof_index = 0


def _health() -> Any:
    package = "grpc.health.v1"
    file = FileDescriptorProto(name="grpc/health/v1/health.proto", package=package, syntax="proto3")
    _add_message(file, "HealthCheckRequest", {"service": (1, "string")})
    response = file.message_type.add(name="HealthCheckResponse")
    statuses = response.enum_type.add(name="ServingStatus")
    for number, name in enumerate(("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")):
        statuses.value.add(name=name, number=number)
    kind = f".{package}.HealthCheckResponse"
    response.field.add(name="status", number=1, label=1, type=_ENUM, type_name=f"{kind}.ServingStatus")
    _add_message(file, "HealthListRequest", {})
    entry = f".{package}.HealthListResponse.StatusesEntry"
    _add_message(file, "HealthListResponse", {"statuses": (1, f"{_REPEATED}{entry}")})
    pair = file.message_type[-1].nested_type.add(name="StatusesEntry")
    pair.options.map_entry = True
    pair.field.add(name="key", number=1, label=1, type=_SCALARS["string"])
    pair.field.add(name="value", number=2, label=1, type=_MESSAGE, type_name=kind)
    service = file.service.add(name="Health")
    for method, asked, answered in (("Check", "Check", "Check"), ("List", "List", "List"), ("Watch", "Check", "Check")):
        service.method.add(
            name=method,
            input_type=f".{package}.Health{asked}Request",
            output_type=f".{package}.Health{answered}Response",
            server_streaming=method == "Watch",
        )
    return file


def _reflection(version: str) -> Any:
    package = f"grpc.reflection.{version}"
    name = f"grpc/reflection/{version}/reflection.proto"
    file = FileDescriptorProto(name=name, package=package, syntax="proto3")
    _add_message(
        file,
        "ServerReflectionRequest",
        {
            "host": (1, "string"),
            "file_by_filename": (3, "string"),
            "file_containing_symbol": (4, "string"),
            "file_containing_extension": (5, f".{package}.ExtensionRequest"),
            "all_extension_numbers_of_type": (6, "string"),
            "list_services": (7, "string"),
        },
        one_of="message_request",
        plain=("host",),
    )
    _add_message(file, "ExtensionRequest", {"containing_type": (1, "string"), "extension_number": (2, "int32")})
    _add_message(
        file,
        "ServerReflectionResponse",
        {
            "valid_host": (1, "string"),
            "original_request": (2, f".{package}.ServerReflectionRequest"),
            "file_descriptor_response": (4, f".{package}.FileDescriptorResponse"),
            "all_extension_numbers_response": (5, f".{package}.ExtensionNumberResponse"),
            "list_services_response": (6, f".{package}.ListServiceResponse"),
            "error_response": (7, f".{package}.ErrorResponse"),
        },
        one_of="message_response",
        plain=("valid_host", "original_request"),
    )
    _add_message(file, "FileDescriptorResponse", {"file_descriptor_proto": (1, "repeated bytes")})
    _add_message(
        file,
        "ExtensionNumberResponse",
        {"base_type_name": (1, "string"), "extension_number": (2, "repeated int32")},
    )
    _add_message(file, "ListServiceResponse", {"service": (1, f"{_REPEATED}.{package}.ServiceResponse")})
    _add_message(file, "ServiceResponse", {"name": (1, "string")})
    _add_message(file, "ErrorResponse", {"error_code": (1, "int32"), "error_message": (2, "string")})
    file.service.add(name="ServerReflection").method.add(
        name="ServerReflectionInfo",
        input_type=f".{package}.ServerReflectionRequest",
        output_type=f".{package}.ServerReflectionResponse",
        client_streaming=True,
        server_streaming=True,
    )
    return file


REFLECTION_VERSIONS: Final = ("v1", "v1alpha")
"""Both versions have the same messages under different names; older clients know only the second."""

for _file in (_health(), *(_reflection(version) for version in REFLECTION_VERSIONS)):
    POOL.Add(_file)


def message_class(name: str) -> Any:
    """The class of the message with this full `name`."""
    return GetMessageClass(POOL.FindMessageTypeByName(name))


HealthCheckRequest: Final = message_class("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse: Final = message_class("grpc.health.v1.HealthCheckResponse")
HealthListResponse: Final = message_class("grpc.health.v1.HealthListResponse")
