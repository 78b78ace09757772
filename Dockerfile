# The base must have Python 3.11 or newer as `python3`, with venv and pip for the build stage. Pin it by digest for a
# release: --build-arg PYTHON_IMAGE=docker.io/library/python:3.11-slim@sha256:…
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The environment has no pip of its own: what installs packages does not travel on.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/mailegress
COPY requirements/run.txt requirements/build.txt requirements/
# The secrets, both optional, are a pip configuration and certificates of the network that builds; no layer keeps them.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    /opt/pip/bin/pip install --require-hashes --only-binary :all: --no-deps -r requirements/build.txt \
    && /opt/pip/bin/pip --python /opt/mailegress/bin/python install \
        --require-hashes --only-binary :all: --no-deps -r requirements/run.txt
COPY pyproject.toml README.md ./
COPY operator/mailegress operator/mailegress
ARG VERSION=
# A label cannot be read from a file, so the version comes in from outside; here it is held against the package's own.
RUN /opt/pip/bin/pip wheel --no-index --no-build-isolation --no-deps --wheel-dir /dist . \
    && /opt/pip/bin/pip --python /opt/mailegress/bin/python install --no-deps --no-index /dist/*.whl \
    && /opt/mailegress/bin/python -m mailegress version \
    && /opt/mailegress/bin/python -c "import sys, mailegress as m; sys.exit(sys.argv[1] not in ('', m.__version__) and f'VERSION is {sys.argv[1]}, the package is {m.__version__}')" "${VERSION}"

FROM ${PYTHON_IMAGE}
# Whatever the base brings to install or build packages goes; the root file system is read-only at run time anyway.
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
        -o -path '*-packages/pkg_resources' -o -path '*-packages/wheel*' -o -path '*/python3*/ensurepip' \
        -o -path '*/python-wheels' -o -path '*/bin/pip' -o -path '*/bin/pip3*' \) -prune -exec rm -rf {} +
COPY --from=build /opt/mailegress /opt/mailegress
ENV PATH=/opt/mailegress/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="MailEgress" \
      org.opencontainers.image.description="Kubernetes operator that keeps the forward and reverse DNS of AWS mail egress addresses in agreement" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# By number, so that runAsNonRoot can be checked without reading /etc/passwd.
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["python", "-m", "mailegress"]
CMD ["run"]
