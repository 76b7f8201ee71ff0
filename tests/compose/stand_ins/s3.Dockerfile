# Stands in for the S3 server's own image where that cannot be pulled: moto's server, which keeps its data on a stop.
FROM python:3.11-slim-bookworm
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir "moto[s3,server]==5.2.5"
COPY s3.py /opt/s3.py
VOLUME /data
ENTRYPOINT ["/opt/venv/bin/python", "/opt/s3.py"]
