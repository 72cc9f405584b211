#!/bin/sh
# Fills /opt/venv with what /build/requirements.lock pins; runs in the build of an image.
set -eu
if [ -e /run/secrets/ca.pem ]; then export PIP_CERT=/run/secrets/ca.pem; fi
pip() { /opt/pip/bin/python -m pip --python /opt/venv "$@"; }

# The lock names everything there is, so no dependency is looked for. Bytecode: see precompile.py.
pip install --no-compile --no-deps --require-hashes --only-binary=:all: --report /build/report.json \
    -r /build/requirements.lock

# Nothing may be missing but what the lock says it has left out.
left_out=$(sed -n 's/^# Left out[^:]*: //p' /build/requirements.lock | sed 's/, /|/g')
missing=$(pip check | grep -vE "^No broken|requires (${left_out:-nothing}), which is not installed" || true)
if [ -n "$missing" ]; then
    echo "requirements.lock is not complete: $missing" >&2
    exit 1
fi
find /opt/venv -type d -name tests -prune -exec rm -r {} +
