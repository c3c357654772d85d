# trackly in one image: `docker run trackly ingest`, `streams`, `sinks`, `console`, `topics apply` ...
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/trackly
WORKDIR /src
# Dependencies in a layer of their own: they change less often than the code.
COPY requirements.lock ./
RUN /opt/trackly/bin/pip install --require-hashes -r requirements.lock
COPY . .
RUN /opt/trackly/bin/pip install --no-deps .

FROM python:3.12-slim
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
