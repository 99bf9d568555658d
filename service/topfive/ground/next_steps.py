"""The next step for whoever has a model that cannot be served as it is: the command that makes it one that can.

What lives here: the wording of that step, the same in every message. What does not: what is wrong, which each message
says itself, and the command (`topfive_pipeline`, which is not imported here).
"""

from __future__ import annotations

import shlex
from typing import Final

_A_GRAPH: Final = "MODEL.onnx"


def import_command(graph: object = _A_GRAPH) -> str:
    """The command that makes a servable model of the network in the file `graph`, to be copied into a shell."""
    return f"`topfive import {shlex.quote(str(graph))} --name NAME`"


def import_advice(graph: object = _A_GRAPH) -> str:
    """A clause for a graph that may be a network as a framework exports it, without its preprocessing and labels."""
    return f"if it is a network as it was exported, {import_command(graph)} makes a servable model of it"
