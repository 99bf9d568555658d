"""The commands beside the service, `topfive import` and its like: found by their entry points, and run.

What lives here: which commands there are, and what is said where one is missing. What does not: what they do. They are
in packages of their own, which this one does not import; they need more than serving does. Only `fetch` is of the
service, for it must run where nothing else is installed.

A command is an entry point of the group `topfive.commands`: a function from its arguments to the exit code.
"""

from __future__ import annotations

import difflib
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from topfive.ground.errors import ConfigurationError

_GROUP: Final = "topfive.commands"
_PURPOSES: Final = {
    "import": "makes a servable model of a trained network (ONNX), and proves it",
    "check": "holds a model repository to the same proof",
    "example": "shows how a client calls a model",
    "optimise": "makes a faster version of a model in eight-bit integers, if that pays here",
    "tune": "finds the settings with which a model serves best on this machine",
    "plan": "says how many servers a traffic takes, by a simulation with measured costs",
    "profile": "names what bounds a service under load, and what to try",
    "evaluate": "judges models on labelled photos: accuracy, speed, size",
    "gate": "says whether a version may go live in place of another, with the evidence",
    "judge": "shows photos on which two versions differ to a person, without whose answer is whose",
    "baseline": "keeps what a model's images and answers are usually like, for the alert on drift",
    "experiments": "lists, shows and compares the runs of these commands",
    "fetch": "copies a model repository from a store (s3, gs, hf, oci) into a folder",
    "shadow": "reports what a version that is tried on live traffic says",
    "export": "builds the reference model from its published weights",
}
_USAGE: Final = 2
_INTERRUPTED: Final = 130


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run the command `name`; return the exit code, which is 2 if there is no such command or it lacks its packages."""
    found = _commands()
    if name not in found:
        return _complain(f"topfive: {_unknown(name, sorted(found))}")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # `__main__` has it end a start that has begun nothing with 0
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback out of an import; a command that has begun sets its own
    try:
        command = found[name].load()
    except ModuleNotFoundError as error:
        missing = f"there is no module '{error.name}'"
        return _complain(f"topfive {name} needs the extra `import`: pip install 'topfive[import]' ({missing})")
    try:
        code: int = command(list(arguments))
    except ConfigurationError as error:
        return _complain(f"topfive {name}: {error}")
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def purposes() -> Mapping[str, str]:
    """The commands that are installed, each with what it does in a few words."""
    return {name: _PURPOSES.get(name, "") for name in sorted(_commands(), key=_rank)}


def _rank(name: str) -> tuple[int, str]:
    known = list(_PURPOSES)
    return (known.index(name) if name in known else len(known), name)


def _commands() -> Mapping[str, EntryPoint]:
    # Of one name the first on the path counts, as for modules: a checkout before what is installed.
    return {found.name: found for found in reversed(list(entry_points(group=_GROUP)))}


def _unknown(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    if not known:
        return f"there is no command '{name}', nor any other: this installation of topfive only serves"
    return f"there is no command '{name}'{meant}; there are {', '.join(known)}; topfive --help lists them and the flags"


def _complain(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return _USAGE
