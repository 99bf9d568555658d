"""The command line of the pipeline: `python -m pipeline export | verify | evaluate`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status: 0, or 1 with the reasons on stderr (2 for a wrong command line)."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except (OSError, ValueError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:  # includes importlib.metadata.PackageNotFoundError
        print(
            f"{options.command} needs the extra `export` (pip install topfive[export]): {error}",
            file=sys.stderr,
        )
    return 1


def _export(options: argparse.Namespace) -> int:
    from pipeline.export import export

    for path, digest in export(options.output, single=options.single).items():
        print(f"{digest}  {path}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from pipeline.verify import verify

    verdict = verify(options.repository)
    for note in verdict.notes:
        print(note)
    for reason in verdict.reasons:
        print(reason, file=sys.stderr)
    print(f"{options.repository} is {'NOT ' if verdict.reasons else ''}what the recipe makes")
    return 1 if verdict.reasons else 0


def _evaluate(options: argparse.Namespace) -> int:
    from pipeline.evaluate import evaluate, table

    result = evaluate(options.images, repository=options.repository, with_reference=options.reference)
    print(json.dumps(asdict(result), indent=2) if options.json else table(result))
    return 0


_COMMANDS = {"export": _export, "verify": _verify, "evaluate": _evaluate}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description="Build, prove and measure the graphs.")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("export", help="build the graphs and write the model repository")
    command.add_argument("--output", type=Path, default=Path("model_repository"), help="default: %(default)s")
    command.add_argument(
        "--single",
        type=Path,
        metavar="PATH",
        help="also write both graphs as one: a file *.onnx or a model's folder",
    )

    command = commands.add_parser("verify", help="prove that a model repository is what `export` makes")
    _add_repository(command)

    command = commands.add_parser("evaluate", help="measure top-1 and top-5 on labelled photos")
    command.add_argument("--images", type=Path, required=True, help="folder with labels.csv (file,index) and photos")
    _add_repository(command)
    command.add_argument("--reference", action="store_true", help="compare with Pillow + PyTorch, photo by photo")
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _add_repository(command: argparse.ArgumentParser) -> None:
    command.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")


if __name__ == "__main__":
    sys.exit(main())
