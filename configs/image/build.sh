#!/bin/sh
# Build the image: Docker where it runs, else buildah without a daemon.
#   configs/image/build.sh IMAGE BASE
set -eu
image=${1:-driftline:latest}
base=${2:-python:3.11-slim-bookworm}
revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  exec docker build --build-arg BASE="$base" --build-arg REVISION="$revision" -t "$image" .
fi
if command -v buildah >/dev/null; then
  # shellcheck disable=SC2086 # options are words
  exec buildah --storage-driver vfs bud --isolation chroot ${BUILDAH_OPTIONS:-} \
    --build-arg BASE="$base" --build-arg REVISION="$revision" --build-arg PIP_OPTIONS="${PIP_OPTIONS:-}" -t "$image" .
fi
echo "no Docker daemon and no buildah - make image - install one of them" >&2
exit 1
