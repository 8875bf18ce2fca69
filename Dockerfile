# The slim image: operator, and later the stages that need no accelerator. No torch in it.
# BASE_IMAGE: what runs. BUILD_IMAGE: where packages are installed; a machine with a private package index gives another one.
ARG BASE_IMAGE=python:3.11-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
RUN python3 -m venv --copies /opt/venv
COPY requirements.lock /src/
RUN /opt/venv/bin/python -m pip install --no-cache-dir --no-compile --require-hashes -r /src/requirements.lock \
 && /opt/venv/bin/python -m pip uninstall -y pip setuptools \
 && find /opt/venv -name '__pycache__' -prune -exec rm -rf {} +
COPY operator/ /opt/app/
RUN /opt/venv/bin/python -m compileall -q /opt/venv/lib /opt/app

FROM ${BASE_IMAGE} AS operator
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/app /opt/app
# numeric, so that `runAsNonRoot` can be checked; any other uid works as well
USER 65532:65532
CMD ["python", "-m", "finetune_operator"]
