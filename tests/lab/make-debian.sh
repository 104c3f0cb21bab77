#!/bin/sh
# make-debian.sh SUITE DIR: a stock Debian with what denet-tui's package depends on, man, zsh and fish; no denet-tui.
#
# Takes about 80 s. DIR appears only once it is complete.
set -eu
suite=$1 dir=$2
new=$dir.new
trap 'rm -rf "$new"' EXIT
rm -rf "$new"
mkdir -p "$(dirname "$dir")"
debootstrap --variant=minbase --include=python3,python3-bpfcc,man-db,zsh,fish,bash-completion "$suite" "$new"
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
cp "$0" "$new/.made-by" # a root made by another version of this script is made anew
rm -rf "$dir"
mv "$new" "$dir"
