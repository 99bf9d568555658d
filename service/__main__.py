"""`python -m service` in a checkout, the name by which it was started before: does what `python -m topfive` does."""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "pipeline")]  # the second for the commands, `python -m service import`
runpy.run_module("topfive", run_name="__main__", alter_sys=True)
