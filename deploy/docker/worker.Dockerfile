# A worker: animates and edits, or trains. TORCH_INDEX says for what; the rest is the same.
#   CPU         https://download.pytorch.org/whl/cpu, the default
#   NVIDIA GPU  https://pypi.org/simple, whose wheels bring CUDA; the host brings the driver
# Weights of published models are not in it: they come into the volume of HF_HOME when they are first asked for.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements-worker.lock ./
# From that index torch alone: whatever else it holds is not asked for.
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --index-url "${TORCH_INDEX}" "$(grep ^torch== requirements-worker.lock)"
# hadolint ignore=DL3059
RUN /opt/venv/bin/pip install --no-cache-dir --requirement requirements-worker.lock
# Apart from the packages, so that a new version of ours is a small layer.
# By the pip beside them, whose Python the command `cinemo` then names in its first line.
COPY . ./
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --target /opt/cinemo . ./cinemo_spec ./cinemo_core \
    && /opt/venv/bin/pip uninstall --yes pip

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Cinemo worker" \
      org.opencontainers.image.description="Image animation as a service: runs and trains the model" \
      org.opencontainers.image.licenses="Apache-2.0"
# A named volume takes its owner from the folder that it is first mounted on.
RUN groupadd --gid 10001 cinemo \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/cinemo --shell /usr/sbin/nologin cinemo \
    && install --directory --owner 10001 --group 10001 \
       /var/lib/cinemo /var/lib/cinemo/models /var/lib/cinemo/secrets /var/lib/cinemo/work
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/cinemo /opt/cinemo
ENV PATH=/opt/venv/bin:/opt/cinemo/bin:$PATH \
    PYTHONPATH=/opt/cinemo \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CINEMO_WORK_FOLDER=/var/lib/cinemo/work \
    HF_HOME=/var/lib/cinemo/models \
    HOME=/tmp \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /var/lib/cinemo
USER 10001:10001
# It is silent while it loads its model, which takes minutes for one of gigabytes that is fetched first.
HEALTHCHECK --interval=15s --timeout=30s --start-period=900s CMD ["python", "-m", "worker.health"]
CMD ["python", "-m", "worker"]
