# Stands in for Redis' own image where that cannot be pulled: Debian's redis-server.
FROM python:3.11-slim-bookworm
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
VOLUME /data
WORKDIR /data
