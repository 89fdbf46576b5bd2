#!/usr/bin/env bash
# Frames and answers of the shipped pairs on an emulated aarch64 beside those of this processor: deploy/edge/aarch64.sh
# Wants a Debian host with apt, a package index and semlink[edge] in .venv; changes nothing outside build/aarch64.
# What is downloaded: qemu-user-static and Python 3.11 for arm64 from Debian, the wheels of semlink[edge] for aarch64.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
place=$PWD/build/aarch64
mkdir -p "$place"/{state/lists/partial,cache/archives/partial,root,qemu,site}
: >"$place/state/status"
arm=(-o "Dir::State=$place/state" -o "Dir::State::status=$place/state/status" -o "Dir::Cache=$place/cache"
     -o APT::Architecture=arm64 -o APT::Architectures::=arm64)

if [ ! -x "$place/root/usr/bin/python3.11" ]; then
    apt-get "${arm[@]}" -qq update
    apt-get "${arm[@]}" -qq install --yes --no-install-recommends --download-only python3.11 libstdc++6
    for package in "$place"/cache/archives/*.deb; do dpkg-deb --extract "$package" "$place/root"; done
fi
if [ ! -x "$place/qemu/usr/bin/qemu-aarch64-static" ]; then
    (cd "$place/qemu" && apt-get -qq download qemu-user-static && dpkg-deb --extract qemu-user-static_*.deb .)
fi
# ONNX Runtime ends where /proc/cpuinfo is not of its kind; QEMU looks below its root first.
mkdir -p "$place/root/proc"
printf 'processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU architecture: 8\n' \
    >"$place/root/proc/cpuinfo"
printf 'CPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n' >>"$place/root/proc/cpuinfo"
if [ ! -d "$place/site/onnxruntime" ]; then
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --target "$place/site" --only-binary=:all: \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 --implementation cp --python-version 3.11 -c constraints.txt \
        numpy pyzmq msgpack click rich safetensors onnxruntime pillow
fi

export QEMU_CPU=${QEMU_CPU:-cortex-a72} # a Raspberry Pi 4's
here=$place/$(uname -m).npz
PYTHONPATH=$PWD "$PYTHON" deploy/edge/frames.py "$here"
PYTHONPATH=$PWD:$place/site "$place/qemu/usr/bin/qemu-aarch64-static" -L "$place/root" \
    "$place/root/usr/bin/python3.11" -S deploy/edge/frames.py "$place/aarch64.npz" "$here"
