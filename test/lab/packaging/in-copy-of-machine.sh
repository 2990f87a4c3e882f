#!/bin/bash
# in-copy-of-machine.sh REPOSITORY [COMMAND…]: runs a script from stdin (bash -e) in a copy of this machine's files
# that is gone afterwards: an overlay on /, in a mount namespace. The repository is there twice, as /first and /second;
# what is installed, linked and enabled there is so nowhere else. Host names, processes and network are this machine's.
set -euo pipefail
repository=$1
if [[ ${2:-} != inside ]]; then
  work=$(mktemp -d)
  trap 'rmdir "$work"' EXIT
  unshare --mount --propagation private "$0" "$repository" inside "$work"
  exit
fi

work=$3
mount -t tmpfs none "$work"
# layer NAME LOWER: a copy of LOWER that may be changed, mounted on its second argument.
layer() {
  mkdir -p "$work/$1/upper" "$work/$1/work" "$3"
  mount -t overlay overlay -o "lowerdir=$2,upperdir=$work/$1/upper,workdir=$work/$1/work" "$3"
}
copy=$work/machine
layer root / "$copy"
layer one "$repository" "$copy/first"
layer two "$repository" "$copy/second"
for system in dev proc sys; do mount --rbind "/$system" "$copy/$system"; done
mount -t tmpfs none "$copy/run"
mkdir -p "$copy/run/lock"
exec chroot "$copy" /bin/bash -e
