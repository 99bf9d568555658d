"""The real tritonserver as a process, for tests and benchmarks: its scheduler, dynamic batcher, ensembles and APIs.

What lives here: the parts it is made of and where they are found (`parts`), the process (`process`), and, because the
server comes without its ONNX Runtime backend in C++, one in Python under the same name (`onnxruntime/model.py`).
"""

from benchmarks.tritonserver.parts import missing
from benchmarks.tritonserver.process import Ports, Tritonserver

__all__ = ["Ports", "Tritonserver", "missing"]
