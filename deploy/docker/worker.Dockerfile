# A worker, which animates and edits, or trains. TORCH_INDEX selects the device:
#   CPU         https://download.pytorch.org/whl/cpu, the default
#   NVIDIA GPU  https://pypi.org/simple, whose wheels include CUDA; the host provides the driver
# The image contains no weights of published models: they are downloaded into HF_HOME, a volume, on first use.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements-worker.lock ./
# Only torch comes from that index.
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --index-url "${TORCH_INDEX}" "$(grep ^torch== requirements-worker.lock)"
# hadolint ignore=DL3059
RUN /opt/venv/bin/pip install --no-cache-dir --requirement requirements-worker.lock
# In a folder of its own, so that a new version of the service is only a small layer. Installed by the venv's pip, so that
# the script `cinemo` runs with the venv's Python.
COPY . ./
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --target /opt/cinemo . ./cinemo_spec ./cinemo_core \
    && /opt/venv/bin/pip uninstall --yes pip

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Cinemo worker" \
      org.opencontainers.image.description="Image animation as a service: runs and trains the model" \
      org.opencontainers.image.licenses="Apache-2.0"
# A new named volume gets the owner of the folder on which it is mounted.
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
# A worker counts as unhealthy while it loads its model, which takes minutes if gigabytes are downloaded first.
HEALTHCHECK --interval=15s --timeout=30s --start-period=900s CMD ["python", "-m", "worker.health"]
CMD ["python", "-m", "worker"]
