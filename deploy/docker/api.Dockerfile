# The API, the webhook sender and the command line: everything that runs without a model, and so without torch.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements-api.lock ./
RUN /opt/venv/bin/pip install --no-cache-dir --requirement requirements-api.lock
# In a folder of its own, so that a new version of the service is only a small layer. Installed by the venv's pip, so that
# the script `cinemo` runs with the venv's Python.
COPY . ./
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --target /opt/cinemo . ./cinemo_spec \
    && /opt/venv/bin/pip uninstall --yes pip setuptools

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Cinemo API" \
      org.opencontainers.image.description="Image animation as a service: the API and the webhook sender" \
      org.opencontainers.image.licenses="Apache-2.0"
# A new named volume gets the owner of the folder on which it is mounted.
RUN groupadd --gid 10001 cinemo \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/cinemo --shell /usr/sbin/nologin cinemo \
    && install --directory --owner 10001 --group 10001 \
       /var/lib/cinemo /var/lib/cinemo/secrets /var/lib/cinemo/s3 /var/lib/cinemo/webhooks
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/cinemo /opt/cinemo
ENV PATH=/opt/venv/bin:/opt/cinemo/bin:$PATH \
    PYTHONPATH=/opt/cinemo \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/cinemo
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=8)"]
CMD ["python", "-m", "service", "--host", "0.0.0.0"]
