"""The command line: flags with the same names as the settings, and the help that lists them.

What lives here: reading the words, and the texts. What does not: the settings and their meaning (`config.settings`).
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from topfive.ground.errors import ConfigurationError

PREFIX: Final = "TOPFIVE_"

_WIDTH: Final = 88
_HEAD: Final = """\
topfive serves image classifiers: images of any size in, labels with probabilities out.

  topfive                                  the reference model, on http://127.0.0.1:8000
  topfive --model-repository my_models     your own models, in Triton's layout
  topfive --host 0.0.0.0 --port 80         for other machines too: see --api-keys-file

{commands}
Each setting is a flag and an environment variable; the flag wins.

  -h, --help                               this text
  --version                                the version
"""
_COMMANDS: Final = "{commands}\n"
_GROUPS: Final = {
    "host": "Where it listens",
    "model_repository": "Models, and what runs them",
    "cores": "Cores and threads",
    "max_body_bytes": "Limits of one request",
    "max_image_pixels": "Images",
    "max_in_flight_requests": "Overload",
    "max_connections": "Connections",
    "api_keys_file": "API keys and TLS",
    "drain_grace_seconds": "Stopping",
    "otlp_endpoint": "Traces",
    "trusted_proxies": "The log",
}
"""The title of each group of settings, by the group's first setting; settings are in the order of their declaration."""


def flag_of(name: str) -> str:
    """The flag of the setting `name`."""
    return "--" + name.replace("_", "-")


def read_flags(arguments: Sequence[str], fields: Mapping[str, Any]) -> dict[str, str | None]:
    """The settings that `arguments` give, as texts; "None" becomes None if the setting's default is None.

    `fields`: each setting's pydantic field, by its name. Raises `ConfigurationError` if an argument is not their flag.
    """
    switches = {flag_of(name): name for name in fields}
    offs = {f"--no-{flag[2:]}": name for flag, name in switches.items() if fields[name].annotation is bool}
    given: dict[str, str | None] = {}
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in offs and not equals:
            given[offs[flag]] = "false"
            continue
        if flag not in switches:
            raise ConfigurationError(_unknown(word, flag, [*switches, *offs, "--help", "--version"]))
        name = switches[flag]
        if not equals:
            value = "true" if fields[name].annotation is bool else _next(words, flag)
        given[name] = None if value == "None" and fields[name].default is None else value
    return given


def unknown_variables(names: Sequence[str], fields: Mapping[str, Any]) -> str:
    """The error message for environment variables that are not settings."""
    known = [PREFIX + field.upper() for field in fields]
    texts = [f"{name}{_meant(name, known)}" for name in names]
    return f"there is no setting {', '.join(texts)}; topfive --help lists the settings"


def _next(words: Iterator[str], flag: str) -> str:
    value = next(words, "--")
    if value.startswith("--"):
        raise ConfigurationError(f"{flag} needs a value, as in {flag}=…; topfive --help says which")
    return value


def _unknown(word: str, flag: str, known: Sequence[str]) -> str:
    if not word.startswith("-"):
        return f"'{word}' is no flag, and topfive takes nothing else; topfive --help lists the flags"
    return f"there is no flag {flag}{_meant(flag, known)}; topfive --help lists the flags"


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def help_text(fields: Mapping[str, Any], commands: Mapping[str, str]) -> str:
    """The `commands`, and all flags, in groups, each with its variable, its default and its description."""
    lines = [f"  topfive {name:<12}{does}\n" for name, does in commands.items()]
    listed = f"Beside serving, each with a --help of its own:\n\n{''.join(lines)}\n" if lines else ""
    parts = [_HEAD.replace(_COMMANDS, listed)]
    for name, field in fields.items():
        if name in _GROUPS:
            parts.append(f"\n{_GROUPS[name]}\n")
        is_switch = field.annotation is bool
        flag = f"{flag_of(name)}, --no-{flag_of(name)[2:]}" if is_switch else f"{flag_of(name)} {_kind(name, field)}"
        parts.append(f"  {flag}\n")
        shown = str(field.default).lower() if is_switch else field.default
        parts.append(_block(f"{PREFIX}{name.upper()}, by default {'none' if shown is None else shown}."))
        parts.append(_block(field.description))
    return "".join(parts)


def _kind(name: str, field: Any) -> str:
    """The word that stands for a flag's value in the help."""
    for ending in ("seconds", "bytes"):
        if name.endswith(f"_{ending}"):
            return ending.upper()
    annotation = str(field.annotation)
    for part, word in (("Path", "PATH"), ("float", "NUMBER"), ("int", "N"), ("Literal", _choices(field))):
        if part in annotation:
            return word
    return "TEXT"


def _choices(field: Any) -> str:
    return "|".join(map(str, getattr(field.annotation, "__args__", ())))


def _block(text: str) -> str:
    indent = " " * 6
    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False) + "\n"
