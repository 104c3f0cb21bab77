#!/bin/sh
# make-image.sh IMAGE DIR: a Debian root with one version of bcc, a Python >= 3.11, strace, and no kernel headers.
#
#   bullseye  bcc 0.18    trixie  bcc 0.31    sid  the newest
#
# Takes about 80 s. DIR appears only once it is complete, so that a broken-off run leaves no half image behind.
set -eu
image=$1 dir=$2
new=$dir.new
common=python3,python3-venv,strace,ca-certificates
trap 'rm -rf "$new"' EXIT
rm -rf "$new"
mkdir -p "$(dirname "$dir")"
export DEBIAN_FRONTEND=noninteractive

case $image in
bullseye)
    # bullseye's own Python is 3.9, too old for denet-tui, and newer ones need a newer libc than it has. So this is
    # bookworm with bullseye's bcc and LLVM: old libraries on a newer libc, which is the direction that glibc promises.
    debootstrap --variant=minbase --include=$common bookworm "$new"
    sed 's/bookworm/bullseye/g' "$new/etc/apt/sources.list" > "$new/etc/apt/sources.list.d/bullseye.list"
    # An archived suite's index is past its date by nature.
    chroot "$new" apt-get -o Acquire::Check-Valid-Until=false update
    chroot "$new" apt-get install -y --no-install-recommends python3-bpfcc/bullseye libbpfcc/bullseye
    ;;
trixie | sid)
    debootstrap --variant=minbase --include=$common,python3-bpfcc "$image" "$new"
    ;;
*)
    echo "make-image.sh: no such image: $image" >&2
    exit 64
    ;;
esac
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
cp "$0" "$new/.made-by" # an image made by another version of this script is made anew
rm -rf "$dir"
mv "$new" "$dir"
