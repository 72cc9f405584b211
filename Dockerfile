# One image for both roles, controller and trainer: `python -m domaintraining ROLE`.
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.lock /tmp/requirements.lock
RUN /opt/venv/bin/python -m pip install --require-hashes --only-binary=:all: -r /tmp/requirements.lock \
    && /opt/venv/bin/python -m pip uninstall --yes pip

FROM ${BASE_IMAGE}
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/domaintraining PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The user below has no entry in /etc/passwd: without this the Kubernetes client finds no home and ends.
ENV HOME=/tmp
COPY --from=dependencies /opt/venv /opt/venv
COPY operator/domaintraining /opt/domaintraining/domaintraining
# A number, so that the kubelet can see that it is not root.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "domaintraining"]
