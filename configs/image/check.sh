#!/usr/bin/env bash
# Build the image on a base made here, and run the demo inside it as its user, with a read-only root.
#
# With buildah in chroot isolation; where that is refused (nested containers), the Dockerfile's own steps run in a
# plain chroot (IMAGE_ENGINE=chroot asks for that). The base is cached under DRIFTLINE_CACHE. Needs root and debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${DRIFTLINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/driftline}
base=$cache/bookworm
say() { printf -- '-- %s\n' "$*"; }

if [ ! -e "$base/.done" ]; then
  say "making a base with debootstrap"
  rm -rf "$base"; mkdir -p "$base"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$base" >"$cache/debootstrap.log" 2>&1
  touch "$base/.done"
fi

# Package indexes are reached with this machine's own client settings, passed in and never written into the image.
settings=()
for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do [ -e "$file" ] && settings+=("$file"); done

with_buildah() {
  local volumes=() storage; storage=$(mktemp -d)
  for file in "${settings[@]}"; do volumes+=(--volume "$file:$file:ro"); done
  local b=(buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs)
  trap 'rm -rf "$storage"' RETURN
  local from; from=$("${b[@]}" from scratch) || return 1
  "${b[@]}" add --quiet "$from" "$base" / >/dev/null && "${b[@]}" commit --quiet --rm "$from" driftline-base >/dev/null || return 1
  "${b[@]}" bud --quiet --isolation chroot "${volumes[@]}" --build-arg BASE=localhost/driftline-base -t driftline-check . || return 1
  from=$("${b[@]}" from localhost/driftline-check) || return 1
  "${b[@]}" run --isolation chroot --user 10001:10001 "$from" -- driftline version
  "${b[@]}" run --isolation chroot --user 10001:10001 "$from" -- driftline demo
}

# The steps of the Dockerfile, one after the other, in a chroot: RUN is run, COPY is copied, ENV and USER hold.
# Nothing of this machine is mounted into it, and what is mounted at all lives in a mount namespace that ends before
# the folder is removed: a removal must never reach beyond the folder.
with_chroot() {
  local root; root=$(mktemp -d)
  # shellcheck disable=SC2064 # the path of now
  trap "rm -rf --one-file-system '$root'" EXIT
  cp -a "$base/." "$root"
  for file in "${settings[@]}"; do install -D -m 644 "$file" "$root$file"; done
  if [ -e /etc/resolv.conf ]; then cp -L /etc/resolv.conf "$root/etc/resolv.conf"; fi
  local node
  for node in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
    # shellcheck disable=SC2086 # a name and a number
    set -- $node
    [ -c "$root/dev/$1" ] || mknod -m 666 "$root/dev/$1" c 1 "$2"
  done
  if unshare --mount true 2>/dev/null; then
    unshare --mount --propagation private bash configs/image/check.sh --in-chroot "$root"
  else
    say "the root stays writable: mounts are refused here"
    in_chroot "$root"
  fi
}

in_chroot() {
  local root=$1 steps=".venv/bin/python configs/image/steps.py Dockerfile"
  [ $# -eq 1 ] || mount -t proc proc "$root/proc"
  $steps "$root" --build
  rm -f "$root/etc/pip.conf"
  if [ $# -eq 2 ]; then
    mount --bind "$root" "$root"
    mount -o remount,ro,bind "$root"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
  fi
  $steps "$root" --run driftline version
  $steps "$root" --run driftline demo
}

if [ "${1:-}" = --in-chroot ]; then
  in_chroot "$2" mounted
  exit
fi

if [ "${IMAGE_ENGINE:-}" != chroot ] && command -v buildah >/dev/null && with_buildah 2>"$cache/buildah.log"; then
  say "built and run with buildah"
else
  [ "${IMAGE_ENGINE:-}" = chroot ] || [ ! -e "$cache/buildah.log" ] || say "buildah was refused: $(tail -n 1 "$cache/buildah.log")"
  with_chroot
  say "built and run in a chroot"
fi
