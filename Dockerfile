# Two images, each a target: `docker build --target controller` and `docker build --target trainer`.
# Behind a proxy or a mirror of packages give pip's settings as secrets, which stay in no layer:
#   docker build --secret id=pip.conf,src=/etc/pip.conf --secret id=ca.pem,src=ca-certificates.crt …
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONFIG_FILE=/run/secrets/pip.conf
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/domaintraining
# pip stays here: the environment that goes into the image holds what the lock names and nothing else.
RUN python -m venv /opt/pip && python -m venv --without-pip /opt/venv
COPY images/install.sh images/sbom.py images/precompile.py /build/

FROM tools AS controller-libraries
COPY requirements-controller.lock /build/requirements.lock
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem sh /build/install.sh
ARG VERSION=0.1.0
RUN python /build/sbom.py domaintraining-controller "${VERSION}"
COPY operator/domaintraining/*.py /opt/domaintraining/domaintraining/
COPY operator/domaintraining/api /opt/domaintraining/domaintraining/api
COPY operator/domaintraining/controller /opt/domaintraining/domaintraining/controller
RUN /opt/venv/bin/python /build/precompile.py domaintraining.controller

FROM tools AS trainer-libraries
COPY requirements-trainer.lock /build/requirements.lock
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem sh /build/install.sh
ARG VERSION=0.1.0
RUN python /build/sbom.py domaintraining-trainer "${VERSION}"
COPY operator/domaintraining/*.py /opt/domaintraining/domaintraining/
COPY operator/domaintraining/api /opt/domaintraining/domaintraining/api
COPY operator/domaintraining/trainer /opt/domaintraining/domaintraining/trainer
RUN /opt/venv/bin/python /build/precompile.py domaintraining.trainer

FROM ${BASE_IMAGE} AS runtime
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/domaintraining PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The user below has no entry in /etc/passwd: without this the Kubernetes client finds no home and ends.
ENV HOME=/tmp
# A number, so that the kubelet can see that it is not root.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "domaintraining"]
ARG BASE_IMAGE
ARG VERSION=0.1.0
# The commit, and where to find it: `--build-arg REVISION=$(git rev-parse HEAD)`.
ARG REVISION=
ARG SOURCE=
ARG LICENSES=
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="${LICENSES}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"

FROM runtime AS trainer
LABEL org.opencontainers.image.title="domaintraining-trainer" \
      org.opencontainers.image.description="Trains the extraction prompts of one DomainTraining run"
COPY --from=trainer-libraries /usr/share/sbom /usr/share/sbom
COPY --from=trainer-libraries /opt/venv /opt/venv
COPY --from=trainer-libraries /opt/domaintraining /opt/domaintraining
CMD ["trainer"]

FROM runtime AS controller
LABEL org.opencontainers.image.title="domaintraining-controller" \
      org.opencontainers.image.description="Watches DomainTrainings and runs their trainers"
COPY --from=controller-libraries /usr/share/sbom /usr/share/sbom
COPY --from=controller-libraries /opt/venv /opt/venv
COPY --from=controller-libraries /opt/domaintraining /opt/domaintraining
CMD ["controller"]
