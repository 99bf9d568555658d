"""`docs/import-messages.md`: every message with which an import is refused, word for word, from the code that says it.

The sources are parsed, not run: a message is the text in a `ConfigurationError`, with `…` for what is filled in.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

import topfive_pipeline

_SOURCES: Final = Path(topfive_pipeline.__file__).parent
_ERROR: Final = "ConfigurationError"
_FILLED_IN: Final = "…"
_OR: Final = " / "

_HEAD: Final = """\
# Messages of import

Every message with which the offline commands refuse, word for word: what is wrong, and what to do. `…` stands for
what is filled in (a file, a name, a number); what is in brackets is said only where it fits, and of what is between
slashes, one. Made from the code by `make docs-pages`.

A refusal ends the command with exit code 2, and nothing is written. If the *proof* fails, the exit code is 1:
[what is proven](own-model.md#what-is-proven).
"""

_TOPICS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "The network's file",
        (
            "graphs/network.py",
            "graphs/weights.py",
            "graphs/layouts.py",
            "graphs/batch.py",
            "graphs/batch_axes.py",
            "patience.py",
            "graphs/scan.py",
            "graphs/training.py",
        ),
    ),
    (
        "Outputs, scores and embeddings",
        ("graphs/outputs.py", "graphs/scores.py", "graphs/tail.py", "graphs/classify.py", "graphs/head.py"),
    ),
    (
        "The preprocessing, by flags and presets",
        (
            "preprocessing/choices.py",
            "preprocessing/flags.py",
            "preprocessing/geometry.py",
            "preprocessing/presets.py",
        ),
    ),
    (
        "The preprocessing, by `--from`",
        (
            "preprocessing/files.py",
            "preprocessing/fields.py",
            "preprocessing/timm_files.py",
            "preprocessing/hugging_face_files.py",
            "preprocessing/hugging_face_sizes.py",
            "preprocessing/hugging_face_processors.py",
            "preprocessing/torchvision_names.py",
            "preprocessing/keras_names.py",
        ),
    ),
    ("Labels", ("importer.py", "entry/labels.py", "entry/label_tables.py", "preprocessing/text_files.py")),
    ("Photos", ("proof/photos.py", "proof/ranking.py")),
    ("Baselines", ("gating/baseline.py", "gating/traffic.py")),
    ("Name, version and repository", ("entry/names.py", "entry/writing.py", "entry/configs.py")),
    (
        "Proof, check and the server",
        (
            "proof/running.py",
            "proof/engines.py",
            "proof/served.py",
            "proof/on_triton.py",
            "checker.py",
            "graphs/cutting.py",
        ),
    ),
    (
        "Optimising",
        (
            "optimising/asked.py",
            "optimising/bench.py",
            "optimising/calibrated.py",
            "optimising/calibration.py",
            "optimising/candidates.py",
            "optimising/comparison.py",
            "optimising/crossing.py",
            "optimising/curve.py",
            "optimising/inputs.py",
            "optimising/judged.py",
            "optimising/landing.py",
            "optimising/machine.py",
            "optimising/measuring.py",
            "optimising/optimiser.py",
            "optimising/placing.py",
            "optimising/plot.py",
            "optimising/proving.py",
            "optimising/quantising.py",
            "optimising/reports.py",
            "optimising/results.py",
            "optimising/rounding.py",
            "optimising/sensitivity.py",
            "optimising/source.py",
            "optimising/telling.py",
            "optimising/trials.py",
            "commands/optimising.py",
            "commands/durations.py",
        ),
    ),
    (
        "Tuning",
        (
            "under_load/latency_objective.py",
            "under_load/images.py",
            "under_load/objectives.py",
            "tuning/subject.py",
            "tuning/engines.py",
            "tuning/plan.py",
            "tuning/turns.py",
            "tuning/tuner.py",
            "tuning/landing.py",
            "tuning/reports.py",
        ),
    ),
    (
        "Planning",
        (
            "planning/mixes.py",
            "planning/traces.py",
            "planning/costs.py",
            "planning/calibrating.py",
            "planning/planner.py",
            "commands/planning.py",
        ),
    ),
    (
        "Profiling",
        (
            "profiling/profiler.py",
            "profiling/processes.py",
            "profiling/window.py",
            "profiling/operators.py",
            "profiling/openvino_counters.py",
            "profiling/reports.py",
            "commands/profiling.py",
        ),
    ),
    (
        "Judging",
        (
            "judging/subjects.py",
            "judging/ways.py",
            "judging/split.py",
            "judging/leakage.py",
            "judging/judge.py",
            "judging/answering.py",
            "judging/footprint.py",
            "judging/limits.py",
            "judging/documents.py",
            "commands/evaluating.py",
        ),
    ),
    (
        "The launch gate",
        (
            "gating/starting.py",
            "gating/client.py",
            "gating/cases.py",
            "gating/expectations.py",
            "gating/strict_yaml.py",
            "gating/asking.py",
            "gating/inputs.py",
            "gating/gate.py",
            "commands/gating.py",
        ),
    ),
    (
        "Side by side",
        (
            "gating/differing.py",
            "gating/frequency.py",
            "gating/judgements.py",
            "gating/blind.py",
            "gating/blind_server.py",
            "commands/blind.py",
        ),
    ),
    (
        "Experiments",
        (
            "experiments/tracking.py",
            "experiments/lookup.py",
            "experiments/exports.py",
            "commands/experiments.py",
        ),
    ),
    ("Versions on trial", ("commands/shadow.py", "judging/shadowing.py")),
)
"""Headings, and the modules whose messages stand below them; those of all other modules are below the last heading."""
_REST: Final = "The commands"

Parameters = Mapping[str, str]
"""The texts of a helper's parameters, where it makes a message of them."""


def refusals_page() -> str:
    """The page as it should be."""
    left = {path.relative_to(_SOURCES).as_posix() for path in _SOURCES.rglob("*.py")}
    parts = []
    for heading, modules in _TOPICS:
        parts.append(_section(heading, modules))
        left -= set(modules)
    return _HEAD + "".join([*parts, _section(_REST, sorted(left))])


def _section(heading: str, modules: tuple[str, ...] | list[str]) -> str:
    found = dict.fromkeys(message for module in modules for message in messages(module))
    return f"\n## {heading}\n\n" + "".join(f"- {_code(message)}\n" for message in found)


def messages(module: str) -> Iterator[str]:
    """The messages of errors in the `module` (a path in the package), in the order of its lines."""
    tree = ast.parse((_SOURCES / module).read_text(encoding="utf-8"))
    inside = importlib.import_module(f"topfive_pipeline.{module.removesuffix('.py').replace('/', '.')}")
    helpers = dict(_helpers(tree))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in sorted(functions, key=lambda function: function.lineno):
        known = _locals(function, inside)
        for node in sorted(ast.walk(function), key=lambda node: getattr(node, "lineno", 0)):
            match node:
                case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=arguments)) if name == _ERROR:
                    yield _text(arguments[0], inside, known)
                case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=arguments)) if name in helpers:
                    parameters, message = helpers[name]
                    given = (_text(argument, inside, known) for argument in arguments)
                    yield _text(message, inside, dict(zip(parameters, given, strict=True)))


def _helpers(tree: ast.Module) -> Iterator[tuple[str, tuple[list[str], ast.expr]]]:
    """Functions that make an error of their parameters: the names of these, and the message."""
    for function in tree.body:
        match function:
            case ast.FunctionDef(body=[*_, ast.Return(value=ast.Call(func=ast.Name(id=name), args=[message]))]):
                if name == _ERROR:
                    yield function.name, ([each.arg for each in function.args.args], message)


def _text(node: ast.expr, inside: ModuleType, parameters: Parameters) -> str:
    """What a message's expression says, as far as it is the same every time."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=values):
            return "".join(_text(value, inside, parameters) for value in values)
        case ast.FormattedValue(value=value):
            return _text(value, inside, parameters)
        case ast.Name(id=name) if name in parameters:
            return parameters[name]
        case ast.Name(id=name) if isinstance(getattr(inside, name, None), str | int):
            return str(getattr(inside, name))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, inside, parameters) + _text(right, inside, parameters)
        case ast.IfExp(body=body, orelse=ast.Constant(value="")):
            return f"[{_text(body, inside, parameters)}]"
        case ast.IfExp(body=body, orelse=orelse):
            return _either(_text(body, inside, parameters), _text(orelse, inside, parameters))
        case _:
            return _FILLED_IN


def _either(*texts: str) -> str:
    """One of several texts, if all of them say something."""
    return _FILLED_IN if _FILLED_IN in texts else _OR.join(dict.fromkeys(texts))


def _locals(function: ast.FunctionDef, inside: ModuleType) -> Parameters:
    """The texts that a function's variables may have, where it gives them no others."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(_text(value, inside, {}))
    return {name: _either(*texts) for name, texts in found.items()}


def _code(message: str) -> str:
    message = message.replace(_FILLED_IN * 2, _FILLED_IN)
    return f"`` {message} ``" if "`" in message else f"`{message}`"
