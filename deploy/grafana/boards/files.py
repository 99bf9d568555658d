"""The list of dashboards, and their files."""

import json
from pathlib import Path
from typing import Final

from deploy.grafana.boards import service, triton

FOLDER: Final = Path(__file__).resolve().parents[1] / "dashboards"
BOARDS: Final = {"topfive.json": service.board, "triton.json": triton.board}


def files() -> dict[str, str]:
    """The text of each dashboard file, by file name."""
    return {name: json.dumps(board(), indent=2) + "\n" for name, board in BOARDS.items()}
