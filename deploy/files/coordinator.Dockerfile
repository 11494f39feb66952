# The coordinator. From the repository's root:
#   docker build -f deploy/files/coordinator.Dockerfile -t splitfront-coordinator .
#   docker run --rm -v "$PWD:/work" splitfront-coordinator run model.onnx --cluster cluster.yaml
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY partitioner partitioner
COPY node_agent node_agent
COPY coordinator coordinator
COPY deploy deploy
RUN python -m venv /opt/splitfront \
 && /opt/splitfront/bin/pip install --no-cache-dir -c constraints.txt '.[coordinator]'

FROM python:3.12-slim-bookworm
RUN groupadd --system --gid 10001 splitfront \
 && useradd --system --uid 10001 --gid 10001 --create-home --home-dir /home/splitfront splitfront \
 && install -d -o splitfront -g splitfront /work
COPY --from=build /opt/splitfront /opt/splitfront
ENV PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/tmp/cache NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["/opt/splitfront/bin/splitfront"]
CMD ["--help"]
