#!/bin/sh
# Takes out of a virtual environment what no running program opens, and compiles the rest: a container's file system is
# read-only, so that without this every start would compile everything anew. For the Dockerfile; slim.sh <environment>.
set -eu
packages=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# Commands that are not ours.
find "$1/bin" -type f ! -name topfive ! -name locust -exec rm '{}' +

# CUDA's parts (nvidia/) stay as they are: some of it is read at run time.
not_cuda() { find "$packages" -path "$packages/nvidia" -prune -o "$@"; }

not_cuda -type d '(' -name tests -o -name test ')' -prune -exec rm -r '{}' +
# Headers, stubs and sources of what is compiled.
not_cuda -type f -regex '.*\.\(pyi\|pyx\|pxd\|pxi\|h\|hpp\|c\|cc\|cpp\|a\)' -exec rm '{}' +

# The reference model: an image has it where another can be mounted, /models.
rm -rf "$packages/topfive/model_repository"

if [ -d "$packages/onnxruntime" ]; then
    # Tools to make models with, which need the package onnx; and the runtime for programs in C: Python has it linked in.
    rm -rf "$packages"/onnxruntime/quantization "$packages"/onnxruntime/tools "$packages"/onnxruntime/transformers
    rm -f "$packages"/onnxruntime/capi/libonnxruntime.so.*
fi

openvino=$packages/openvino
if [ -d "$openvino" ]; then
    # Of its plugins one is the CPU's, of its frontends one reads ONNX; its tools convert models, and report their use.
    find "$openvino/libs" -name 'libopenvino_*' ! -name 'libopenvino_*_cpu_plugin.so' \
        ! -name 'libopenvino_onnx_frontend.so.*' -exec rm '{}' +
    rm -rf "$openvino"/libs/cache.json "$openvino"/cmake "$openvino"/include "$openvino"/tools "$openvino"/torch
    rm -rf "$packages"/openvino_telemetry "$packages"/openvino_telemetry-*.dist-info
    rm -rf "$openvino"/frontend/jax "$openvino"/frontend/paddle "$openvino"/frontend/pytorch "$openvino"/frontend/tensorflow
fi

# Hugging Face's other way to fetch; files come over HTTPS here (topfive/repository/hub.py).
rm -rf "$packages"/hf_xet "$packages"/hf_xet-*.dist-info

# Whether a source is newer than its bytecode is not asked: neither changes any more.
"$1/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$packages"
