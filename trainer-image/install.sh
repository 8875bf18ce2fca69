#!/bin/sh
# install.sh LOCK: what LOCK names into /layer/opt/venv, every hash checked, without what only a compiler reads, as bytecode.
set -eu
/opt/uv/bin/uv pip install --quiet --no-cache --link-mode copy --no-deps --require-hashes \
  --python /opt/venv/bin/python --prefix /layer/opt/venv -r "$1"
cd /layer/opt/venv/lib/python3*/site-packages
rm -rf nvidia/*/include nvidia/*/bin torch/include torch/share triton/include triton/FileCheck triton/backends/amd/lib
# static libraries, and bitcode for device code that calls NVSHMEM
find . \( -name '*.a' -o -name 'libnvshmem_device*.bc' \) -delete
# Checked neither by time nor by hash: the image does not change, and unchanged packages give unchanged layers.
# A few packages ship templates that are no valid Python; those stay as they are.
/opt/venv/bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash -s /layer /layer/opt/venv/lib || true
