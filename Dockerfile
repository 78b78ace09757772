# The base must have Python 3.11 or newer as `python3`, with venv and pip for the build stage. Pin it by digest for a release.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The environment has no pip of its own: what installs packages does not travel on.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/mailegress
COPY requirements/run.txt requirements/run.txt
RUN /opt/pip/bin/pip --python /opt/mailegress/bin/python install \
        --require-hashes --only-binary :all: --no-deps -r requirements/run.txt
COPY pyproject.toml README.md ./
COPY operator/mailegress operator/mailegress
RUN /opt/pip/bin/pip wheel --no-deps --wheel-dir /dist . \
    && /opt/pip/bin/pip --python /opt/mailegress/bin/python install --no-deps --no-index /dist/*.whl \
    && /opt/mailegress/bin/python -m mailegress version

FROM ${PYTHON_IMAGE}
# Whatever the base brings to install or build packages goes; the root file system is read-only at run time anyway.
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
        -o -path '*-packages/pkg_resources' -o -path '*-packages/wheel*' -o -path '*/python3*/ensurepip' \
        -o -path '*/bin/pip' -o -path '*/bin/pip3*' \) -prune -exec rm -rf {} +
COPY --from=build /opt/mailegress /opt/mailegress
ENV PATH=/opt/mailegress/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number, so that runAsNonRoot can be checked without reading /etc/passwd.
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["python", "-m", "mailegress"]
CMD ["run"]
