"""`docs/import.md`: the flags of `topfive import` and the other offline commands, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, ParameterInfo

from topfive_pipeline.commands.baseline import make_baseline
from topfive_pipeline.commands.blind import judge
from topfive_pipeline.commands.checking import check_repository
from topfive_pipeline.commands.evaluating import evaluate
from topfive_pipeline.commands.example import example
from topfive_pipeline.commands.experiments import compare_runs, export_runs, list_runs, show_run
from topfive_pipeline.commands.exporting import export_model
from topfive_pipeline.commands.gating import gate_version
from topfive_pipeline.commands.importing import import_model
from topfive_pipeline.commands.optimising import optimise_model
from topfive_pipeline.commands.planning import plan_fleet
from topfive_pipeline.commands.profiling import profile_service
from topfive_pipeline.commands.shadow import report
from topfive_pipeline.commands.tuning import tune_model

_COMMANDS: Final[tuple[tuple[str, Callable[..., int], str], ...]] = (
    ("import", import_model, "How to use it, by example: [Your model in ten minutes](your-model.md)."),
    ("check", check_repository, "What the checks mean: [what is proven](own-model.md#what-is-proven)."),
    ("example", example, ""),
    ("optimise", optimise_model, "How to use it, by example: [Make a model faster](optimise.md)."),
    ("tune", tune_model, "How to use it, by example: [Tune a model for a machine](tune.md)."),
    ("plan", plan_fleet, "How to use it, and how near it comes: [Plan a fleet](plan.md)."),
    ("profile", profile_service, "What it says, and by which rules: [Where the time is](profile.md)."),
    ("evaluate", evaluate, "What the figures mean: [Judge models](evaluate.md)."),
    ("gate", gate_version, "How to use it, by example: [The launch gate](gate.md)."),
    ("judge", judge, "What it is for: [Judge by eye](judge.md)."),
    ("baseline", make_baseline, "What it is for: [Drift](drift.md)."),
    (
        "experiments",
        list_runs,
        "What is recorded, and where: [Experiments](experiments.md).",
    ),
    ("experiments show", show_run, ""),
    ("experiments compare", compare_runs, ""),
    ("experiments export", export_runs, ""),
    ("shadow report", report, "How to set a shadow: [Try a version on live traffic](rollout.md)."),
    ("export", export_model, "It needs the extra `export`, with PyTorch; nothing else does."),
)

_HEAD: Final = """\
# The offline commands

Every flag of the commands beside the server, with its default. They need the extra `import`:
`pip install 'topfive[import]'` brings onnx, typer and rich, and no PyTorch. `topfive import --help` says the same. What
the commands refuse, word for word: [messages of import](import-messages.md). Made from them by `make docs-pages`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    """One row: an argument or a flag, with all its names; `choices` is a sentence."""

    names: tuple[str, ...]
    is_argument: bool
    default: str
    help: str
    choices: str


def offline_commands_page() -> str:
    """The page as it should be."""
    return _HEAD + "".join(_section(*command) for command in _COMMANDS)


def _section(name: str, command: Callable[..., int], more: str) -> str:
    parameters = list(_parameters(command))
    arguments = " ".join(each.names[0] for each in parameters if each.is_argument)
    rows = "".join(
        f"| {' / '.join(f'`{name}`' for name in each.names)} | {each.default} | {each.help}{each.choices} |\n"
        for each in parameters
    )
    parts = [
        f"\n## topfive {name}",
        f"`{' '.join(filter(None, ('topfive', name, arguments, '[flags]')))}`",
        inspect.getdoc(command) or "",
    ]
    return "\n\n".join(filter(None, [*parts, more])) + f"\n\n| flag | default | what it says |\n|---|---|---|\n{rows}"


def _parameters(command: Callable[..., int]) -> Iterator[_Parameter]:
    """Read from the function, as typer does: what typer makes of it differs from version to version."""
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind, info = get_args(hints[name])
        is_argument = isinstance(info, ArgumentInfo)
        required = parameter.default is inspect.Parameter.empty
        # Typer takes the first name of a flag for its default, until it reads the annotation.
        said = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
        shown = info.metavar or name.upper()
        names = [f"--{name.replace('_', '-')}"]
        if is_argument:
            names = [shown if required else f"[{shown}]"]
        elif said:
            names = said[0].split("/")
        words = get_args(kind) if get_origin(kind) is Literal else ()
        yield _Parameter(
            names=tuple(names),
            is_argument=is_argument,
            default="must be said" if required else _default(parameter.default, info),
            help=info.help or "",
            choices=f" One of {', '.join(f'`{word}`' for word in words)}." if words else "",
        )


def _default(value: object, info: ParameterInfo) -> str:
    if isinstance(info.show_default, str):
        return info.show_default
    return "" if value is None or value is False else f"`{value}`"
