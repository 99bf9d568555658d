"""`docs/http-api.md`: the HTTP API, from the OpenAPI document that the service itself answers at `/openapi.json`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from topfive.app import create_app, create_serving
from topfive.config.settings import Settings

Json = Mapping[str, Any]
Operation = tuple[str, str, Json]
"""Its method, its path, and what the document says of it."""

_HEAD: Final = """\
# HTTP API

Every path that the service answers, what it takes and what it answers. A service that runs has the same at `/docs`, to
try it, and at `/openapi.json`, for generators of clients. Made from that document by `make docs-pages`.

What an image may be sent as, with examples: [send an image](requests.md). Statuses other than 200: [errors](errors.md).
"""
_SHAPES: Final = "\n## Shapes\n\nThe JSON objects that are named above. A field with a `?` may be absent.\n"
_ERRORS: Final = "ErrorSchema"


def http_api_page() -> str:
    """The page as it should be."""
    document = create_app(create_serving(Settings(), on_fatal=lambda: None)).openapi()
    parts = [_HEAD]
    groups = _alike(document)
    for title in dict.fromkeys(_tag(alike) for alike in groups):
        parts.append(f"\n## {title.title()}\n")
        parts.extend(_operation(alike) for alike in groups if _tag(alike) == title)
    parts.append(_SHAPES)
    parts.extend(_shape(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    return "".join(parts)


def _alike(document: Json) -> list[list[Operation]]:
    """All operations, those that say the same of themselves together."""
    found: dict[tuple[str, str], list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault((method, operation["description"]), []).append((method.upper(), path, operation))
    return list(found.values())


def _tag(alike: list[Operation]) -> str:
    tag: str = alike[0][2]["tags"][0]
    return tag


def _operation(alike: list[Operation]) -> str:
    (method, path, operation), *others = alike
    lines = ["", f"### `{method} {path}`", "", _unwrapped(operation["description"]), ""]
    if others:
        lines += ["Also " + ", ".join(f"`{method} {path}`" for method, path, _ in others) + ".", ""]
    if rows := list(_parameters(alike)):
        lines += ["| parameter | in | type | |", "|---|---|---|---|", *rows, ""]
    if body := operation.get("requestBody"):
        lines.append(f"**Body:** {_content(body['content'])}\n")
    answer, *rest = sorted(operation["responses"])
    lines.append(f"**{answer}:** {_content(operation['responses'][answer].get('content', {})) or 'no body'}")
    if rest:
        lines[-1] += f". **Else:** {', '.join(rest)}, as {_link(_ERRORS)}"
    return "\n".join(lines) + "\n"


def _parameters(alike: list[Operation]) -> Iterator[str]:
    """A row for each parameter of any of these operations, once; those of the path stand in it."""
    found = {item["name"]: item for _, _, operation in alike for item in operation.get("parameters", [])}
    for name, item in found.items():
        if item["in"] == "path":
            continue
        mark, text = "" if item["required"] else "?", item.get("description", "")
        yield f"| `{name}`{mark} | {item['in']} | {_type(item['schema'])} | {text} |"


def _content(content: Json) -> str:
    """Media types with what is in them; those of one content together."""
    by_type: dict[str, list[str]] = {}
    for media, described in content.items():
        by_type.setdefault(_type(described.get("schema", {})), []).append(f"`{media}`")
    return "; ".join(f"{', '.join(media)} ({kind})" if kind else ", ".join(media) for kind, media in by_type.items())


def _unwrapped(text: str) -> str:
    """With a line for each paragraph."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _shape(name: str, schema: Json) -> str:
    lines = ["", f"### {_title(name)}", "", schema.get("description", ""), "", "| field | type | |", "|---|---|---|"]
    required = schema.get("required", ())
    for field, described in schema.get("properties", {}).items():
        mark = "" if field in required else "?"
        text = described.get("description", "")
        if examples := described.get("examples"):
            text = f"{text} For example `{examples[0]}`.".strip()
        lines.append(f"| `{field}`{mark} | {_type(described)} | {text} |")
    return "\n".join(lines) + "\n"


def _type(schema: Json) -> str:
    """A type in a few words."""
    if reference := schema.get("$ref"):
        return _link(reference.rpartition("/")[2])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            kinds = [_type(one) for one in schema[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if schema.get("format") in {"binary", "byte"}:
        return "bytes" if schema["format"] == "binary" else "base64"
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items']) or 'values'}"
        case "object" if "properties" in schema:
            return f"`{_literal(schema)}`"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            return f"object of any names: {_type(schema['additionalProperties'])}"
        case None:
            return ""
        case kind:
            return f"{kind}{_bounds(schema)}"


def _literal(schema: Json) -> str:
    """An object without a name of its own, as it is written."""
    match schema.get("type"):
        case "object":
            fields = ", ".join(f'"{name}": {_literal(inner)}' for name, inner in schema["properties"].items())
            return f"{{{fields}}}"
        case "array":
            return f"[{_literal(schema['items'])}, …]"
        case _:
            return _type(schema)


def _bounds(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    return f" ≥ {low:g}" if high is None else f" from {low:g} to {high:g}"


def _link(name: str) -> str:
    title = _title(name)
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _title(name: str) -> str:
    """`InferRequestSchema` as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Schema")).capitalize()
