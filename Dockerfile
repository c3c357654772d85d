# trackly in one image: `docker run trackly ingest`, `streams`, `sinks`, `console`, `topics apply` ...
# It has no Java and no broker: in it, `trackly up`, `demo`, and `broker` need your own Kafka (KAFKA_BOOTSTRAP_SERVERS).
# The tag below is for local builds. `make release-check` asks the registry for its digest, builds with that
# (--build-arg PYTHON_IMAGE=python:3.12-slim@sha256:...) and the image names it in org.opencontainers.image.base.name.
ARG PYTHON_IMAGE=python:3.12-slim
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/trackly
WORKDIR /src
# Dependencies get their own layer: they change less often than the code.
COPY requirements.lock ./
RUN /opt/trackly/bin/pip install --require-hashes -r requirements.lock
# Build requirements are hashed too, and do not end up in the image.
COPY requirements-build.lock ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements-build.lock
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && /opt/trackly/bin/pip install --no-deps --no-index /wheels/*.whl

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trackly" \
      org.opencontainers.image.description="SMS provider callbacks in, one typed event stream on Kafka, signed webhooks out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --system --gid 10001 trackly \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/trackly trackly \
    && install --directory --owner=10001 --group=10001 /var/lib/trackly
COPY --from=build /opt/trackly /opt/trackly
ENV PATH=/opt/trackly/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TRACKLY_DATA_DIR=/var/lib/trackly
WORKDIR /var/lib/trackly
USER 10001:10001
EXPOSE 8080 8081
ENTRYPOINT ["trackly"]
CMD ["--help"]
