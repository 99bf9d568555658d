# The images of topfive: `cpu` (built unless --target says otherwise), `gpu` and `loadtest`. How to run them, what they
# weigh, and why they are as they are: docs/containers.md. docker-compose.yml runs them all.

ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

# ---- What installs: nothing of it is in an image but /opt/topfive.

FROM ${PYTHON_IMAGE} AS installer
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
# It has no pip of its own, and needs none: the one of the base image fills it from outside.
RUN python -m venv --without-pip /opt/topfive

# A lock is installed as it is written: nothing is resolved, whatever the index has by then. Then it is asked whether the
# lock was whole.

FROM installer AS wheel
COPY requirements/build.txt /tmp/
RUN pip install --no-deps --require-hashes --requirement /tmp/build.txt
COPY pyproject.toml README.md LICENSE NOTICE /source/
COPY deploy/wheel.py /source/deploy/
COPY model_repository /source/model_repository
COPY service /source/service
COPY pipeline /source/pipeline
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels /source

FROM installer AS installed-cpu
COPY requirements/image.txt /tmp/
RUN pip --python /opt/topfive/bin/python install --no-deps --require-hashes --requirement /tmp/image.txt
COPY --from=wheel /wheels /wheels
RUN pip --python /opt/topfive/bin/python install --no-deps /wheels/*.whl \
    && pip --python /opt/topfive/bin/python check
COPY deploy/slim.sh /tmp/
RUN sh /tmp/slim.sh /opt/topfive

FROM installer AS installed-gpu
COPY requirements/gpu.txt /tmp/
RUN pip --python /opt/topfive/bin/python install --no-deps --require-hashes --requirement /tmp/gpu.txt
COPY --from=wheel /wheels /wheels
RUN pip --python /opt/topfive/bin/python install --no-deps /wheels/*.whl \
    && ! pip --python /opt/topfive/bin/python check | grep -v -e 'requires onnxruntime, which' -e '^No broken'
COPY deploy/slim.sh /tmp/
RUN sh /tmp/slim.sh /opt/topfive

FROM installer AS installed-loadtest
COPY requirements/loadtest.txt /tmp/
RUN pip --python /opt/topfive/bin/python install --no-deps --require-hashes --requirement /tmp/loadtest.txt \
    && pip --python /opt/topfive/bin/python check
COPY deploy/slim.sh /tmp/
RUN sh /tmp/slim.sh /opt/topfive

# ---- What runs: the base image, that environment, and what it serves. No user of these images can write to them.

FROM ${PYTHON_IMAGE} AS runtime
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
ENV PATH=/opt/topfive/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM

FROM runtime AS serving
ENV ORT_DISABLE_TELEMETRY=1 \
    TOPFIVE_HOST=0.0.0.0 \
    TOPFIVE_PORT=8000 \
    TOPFIVE_GRPC_PORT=8001 \
    TOPFIVE_MODEL_REPOSITORY=/models
COPY model_repository /models
COPY deploy/healthcheck.py /opt/healthcheck.py
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["python", "-I", "-S", "/opt/healthcheck.py"]
ENTRYPOINT ["topfive"]

FROM runtime AS loadtest
LABEL org.opencontainers.image.title="topfive-loadtest" \
      org.opencontainers.image.description="Load tests of topfive, and of any server of the Open Inference Protocol"
ENV MPLCONFIGDIR=/tmp/matplotlib
COPY --from=installed-loadtest /opt/topfive /opt/topfive
# The served graphs, for they say what is right; and a photo to send if no others are mounted.
COPY model_repository /opt/model_repository
COPY pipeline/topfive_loadgen /opt/topfive_loadgen
COPY loadtests /opt/loadtests
COPY docs/coffee.jpg /opt/loadtests/coffee.jpg
WORKDIR /opt
USER 10001:10001
EXPOSE 8089
ENTRYPOINT ["python", "-m", "loadtests"]

FROM serving AS gpu
LABEL org.opencontainers.image.title="topfive-gpu" \
      org.opencontainers.image.description="Image classification served from ONNX graphs, with ONNX Runtime for NVIDIA GPUs"
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=installed-gpu /opt/topfive /opt/topfive
# Compiles what serving needs of the base image, whose own bytecode may be missing; and fails if anything of it is.
RUN PYTHONDONTWRITEBYTECODE= topfive --help >/dev/null
USER 10001:10001

FROM serving AS cpu
LABEL org.opencontainers.image.title="topfive" \
      org.opencontainers.image.description="Image classification served from ONNX graphs"
COPY --from=installed-cpu /opt/topfive /opt/topfive
# As above; OpenVINO too, which is loaded only for models that ask for it, and what speaks to stores.
RUN PYTHONDONTWRITEBYTECODE= topfive --help >/dev/null \
    && python -c 'from topfive.backends.openvino_runtime import load; load()' \
    && python -c 'from topfive.repository import bucket, hub, registry'
USER 10001:10001
