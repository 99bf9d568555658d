"""The real tritonserver as a process, for tests and benchmarks: its scheduler, dynamic batcher, ensembles and APIs.

`parts` finds its parts, and `process` runs it. The server comes without its C++ backend for ONNX Runtime, so there is
one in Python under the same name (`onnxruntime/model.py`).
"""

from benchmarks.tritonserver.parts import missing
from benchmarks.tritonserver.process import Ports, Tritonserver

__all__ = ["Ports", "Tritonserver", "missing"]
