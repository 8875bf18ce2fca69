#!/bin/sh
# install.sh LOCK: what LOCK names into /layer/opt/venv, every hash checked, without what only a compiler reads, as bytecode.
set -eu
/opt/uv/bin/uv pip install --quiet --no-cache --link-mode copy --no-deps --require-hashes \
  --python /opt/venv/bin/python --prefix /layer/opt/venv -r "$1"
cd /layer/opt/venv/lib/python3*/site-packages
rm -rf nvidia/*/include nvidia/*/bin torch/include torch/share triton/include triton/FileCheck
# other GPUs, profilers, disassemblers
rm -rf triton/backends/amd/lib triton/backends/nvidia/lib/cupti*
# static libraries, bitcode for device code that calls NVSHMEM, and libraries that no other one needs (readelf -d)
find . \( -name '*.a' -o -name 'libnvshmem_device*.bc' -o -name 'libcusolverMg.so*' -o -name 'libnvperf_*.so' \
  -o -path '*/triton/backends/nvidia/bin/cuobjdump' -o -path '*/triton/backends/nvidia/bin/nvdisasm' \) -delete
# Checked neither by time nor by hash: the image does not change, and unchanged packages give unchanged layers.
# A few packages ship templates that are no valid Python; those stay as they are.
/opt/venv/bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash -s /layer /layer/opt/venv/lib || true
