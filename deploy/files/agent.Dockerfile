# A node agent on linux/amd64 and linux/arm64. From the repository's root:
#   docker buildx build -f deploy/files/agent.Dockerfile --platform linux/amd64,linux/arm64 -t splitfront-agent .
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY partitioner partitioner
COPY node_agent node_agent
COPY coordinator coordinator
COPY deploy deploy
RUN python -m venv /opt/splitfront \
 && /opt/splitfront/bin/pip install --no-cache-dir -c constraints.txt '.[node,compression]'

FROM python:3.12-slim-bookworm
RUN groupadd --system --gid 10001 splitfront \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/splitfront splitfront \
 && install -d -o splitfront -g splitfront -m 0750 /var/lib/splitfront
COPY --from=build /opt/splitfront /opt/splitfront
# What the certificate calls the agent: that of the compose file's service, or of the Kubernetes one.
ENV PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE SPLITFRONT_SERVER_NAME=localhost
USER 10001:10001
VOLUME /var/lib/splitfront
EXPOSE 50051 50052
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD /opt/splitfront/bin/python -IB -m deploy.health --address 127.0.0.1:50051 \
      --tls /etc/splitfront/tls --server-name "$SPLITFRONT_SERVER_NAME"
ENTRYPOINT ["/opt/splitfront/bin/python", "-IB", "-m", "node_agent", "--store", "/var/lib/splitfront/store"]
CMD ["--listen", "0.0.0.0:50051", "--tcp-port", "50052", "--pki", "/etc/splitfront/tls"]
