#!/usr/bin/env bash
# A transmitter without torch beside one with it, each from a fresh environment: deploy/edge/fresh.sh [--rounds N]
# Wants python3.11 and a package index. Makes build/edge/edge and build/edge/full anew, prints the tables of deploy/EDGE.md,
# keeps what was measured in build/edge/side_by_side.json, and takes both environments away again. About ten minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PYTHON=${PYTHON:-python3.11}
place=$PWD/build/edge
trap 'rm -rf "$place/edge" "$place/full"' EXIT
rm -rf "$place/edge" "$place/full" build/lib
for extra in edge all; do
    venv=$place/${extra/all/full}
    "$PYTHON" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt ".[$extra]"
done
"$PYTHON" deploy/edge/side_by_side.py "$place/edge" "$place/full" --json "$place/side_by_side.json" "$@"
