"""`python -m service` in a checkout, the name by which it was started before: does what `python -m topfive` does."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
runpy.run_module("topfive", run_name="__main__", alter_sys=True)
