# driftline in one pinned image: dependencies by hash, kernels compiled, no root, no writes outside /var and /tmp.
#
#   docker build -t driftline .                      (or `make image`, which also knows buildah)
#   docker run --read-only --tmpfs /tmp -v state:/var/lib/driftline -v ./prod.yaml:/etc/driftline/driftline.yaml driftline
#
# BASE is any Debian-like base with Python 3.11 or newer, or with apt to get it from.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_OPTIONS=""
WORKDIR /src
COPY requirements.lock ./
RUN (command -v python3 >/dev/null && python3 -c 'import venv, ensurepip') \
    || (apt-get update -q && apt-get install -y -q --no-install-recommends python3 python3-venv)
RUN python3 -m venv /opt/driftline \
    && /opt/driftline/bin/pip install --no-cache-dir --disable-pip-version-check --quiet ${PIP_OPTIONS} \
       --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY monitor ./monitor
COPY kernels ./kernels
# A CPU name that every x86-64 machine answers to: otherwise a cache built here would be ignored elsewhere.
ENV NUMBA_CACHE_DIR=/opt/driftline/kernels NUMBA_CPU_NAME=generic PYTHONDONTWRITEBYTECODE=1
RUN /opt/driftline/bin/pip install --no-cache-dir --disable-pip-version-check --quiet \
       --no-deps --no-build-isolation . \
    && cd / && /opt/driftline/bin/python -m kernels.warm \
    && /opt/driftline/bin/python -m compileall -q /opt/driftline/lib \
    && chmod -R a+rX /opt/driftline

FROM ${BASE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="driftline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
RUN (command -v python3 >/dev/null || (apt-get update -q && apt-get install -y -q --no-install-recommends python3)) \
    && groupadd --gid 10001 driftline \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp driftline \
    && mkdir -p /var/lib/driftline /etc/driftline \
    && chown driftline:driftline /var/lib/driftline
COPY --from=build /opt/driftline /opt/driftline
ENV PATH=/opt/driftline/bin:/usr/local/bin:/usr/bin:/bin \
    NUMBA_CACHE_DIR=/opt/driftline/kernels NUMBA_CPU_NAME=generic \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DRIFTLINE_CONFIG=/etc/driftline/driftline.yaml DRIFTLINE_REVISION=${REVISION}
USER 10001:10001
WORKDIR /var/lib/driftline
VOLUME /var/lib/driftline
EXPOSE 8710
STOPSIGNAL SIGTERM
ENTRYPOINT ["driftline"]
CMD ["run"]
