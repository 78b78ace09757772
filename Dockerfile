# The image is based on Debian's Python without a shell and without a package manager. The build needs an image with the same
# minor version of Python, with venv and pip. Pin both by digest for a release:
# --build-arg PYTHON_IMAGE=gcr.io/distroless/python3-debian13:nonroot@sha256:… --build-arg BUILD_IMAGE=…
ARG PYTHON_IMAGE=gcr.io/distroless/python3-debian13:nonroot
ARG BUILD_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS base

FROM ${BUILD_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY --from=base /usr/lib /base/usr/lib
# The environment names its Python by the path that the base has. It has no pip of its own: what installs packages does not
# travel on.
RUN python="$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')" \
    && if [ ! -d "/base/usr/lib/$python" ]; then \
        echo "BUILD_IMAGE has $python and PYTHON_IMAGE has $(cd /base/usr/lib && echo python3.*): they need the same minor version" >&2; \
        exit 1; \
    fi \
    && if [ ! -e "/usr/bin/$python" ]; then ln -s "$(command -v python3)" "/usr/bin/$python"; fi \
    && python3 -m venv /opt/pip && "/usr/bin/$python" -m venv --without-pip /opt/mailegress
COPY requirements/run.txt requirements/build.txt requirements/
# The secrets, both optional, are a pip configuration and certificates of the network that builds; no layer keeps them.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    /opt/pip/bin/pip install --require-hashes --only-binary :all: --no-deps -r requirements/build.txt \
    && /opt/pip/bin/pip --python /opt/mailegress/bin/python install \
        --require-hashes --only-binary :all: --no-deps --no-compile -r requirements/run.txt
# Of the 400 services that botocore describes, the two that the operator calls, and those that credentials come from.
RUN cd /opt/mailegress/lib/python3.*/site-packages/botocore/data \
    && find . -mindepth 1 -maxdepth 1 -type d ! -name ec2 ! -name route53 ! -name sts ! -name sso ! -name sso-oidc ! -name signin \
        -exec rm -rf {} +
COPY pyproject.toml README.md ./
COPY operator/mailegress operator/mailegress
ARG VERSION=
# A label cannot be read from a file, so the version comes in from outside; here it is held against the package's own.
RUN /opt/pip/bin/pip wheel --no-index --no-build-isolation --no-deps --wheel-dir /dist . \
    && /opt/pip/bin/pip --python /opt/mailegress/bin/python install --no-deps --no-index --no-compile /dist/*.whl \
    && /opt/mailegress/bin/python -c "import sys, mailegress as m; sys.exit(sys.argv[1] not in ('', m.__version__) and f'VERSION is {sys.argv[1]}, the package is {m.__version__}')" "${VERSION}"
# The root file system is read-only at run time, and the base has no bytecode: what is not compiled here, each start compiles.
# The bytecode does not name the time of its source, which a copy could change.
RUN find /opt/mailegress -name __pycache__ -prune -exec rm -rf {} + \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/mailegress/lib \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /base -p / /base/usr/lib/python3.* \
    && find /base ! -type d ! -name '*.pyc' -delete && find /base -type d -empty -delete

FROM base
COPY --from=build /base /
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
# The packages load with the Python and the libraries of the base.
RUN ["python", "-c", "import mailegress.cli.main, mailegress.cli.run"]
EXPOSE 8080
ENTRYPOINT ["python", "-m", "mailegress"]
CMD ["run"]
