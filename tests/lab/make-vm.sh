#!/bin/sh
# make-vm.sh DIR WHEELS: stock Debian bookworm machines with systemd, one for each kernel, for qemu (see vm.py).
#
#   DIR/6.1    bookworm's own kernel    DIR/5.10    bullseye's    DIR/6.12    trixie's
#
# Each has disk.img, vmlinuz and initrd, and is the same machine but for its kernel: systemd, sudo, bcc, no kernel
# headers, no network, an ordinary user anna who may use sudo, another one, bert, who may not. WHEELS holds denet-tui
# and its Python packages, which are put into /opt/denet-tui as `make install` does. It runs whatever `run` the second
# disk brings, and powers off.
#
# Takes about 4 minutes, 4 GB while it works and 3 GB afterwards. DIR appears only once it is complete.
set -eu
dir=$1 wheels=$2
new=$dir.new
root=$new/root
base=systemd,systemd-sysv,dbus,udev,sudo,python3,python3-venv,python3-bpfcc,libcap2-bin,kmod,procps,iproute2
base=$base,initramfs-tools,linux-base,strace,tmux,zstd,make,git
export DEBIAN_FRONTEND=noninteractive

trap 'rm -rf --one-file-system "$new"' EXIT
rm -rf --one-file-system "$new"
mkdir -p "$new"
debootstrap --variant=minbase --include=$base bookworm "$root"
mount -t proc proc "$root/proc" # in a mount namespace of our own: the caller has seen to that

echo lab > "$root/etc/hostname"
printf '127.0.0.1 localhost lab\n' > "$root/etc/hosts"
for user in anna bert; do chroot "$root" useradd --create-home --shell /bin/bash $user; done
echo 'anna ALL=(ALL:ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/anna"
chmod 440 "$root/etc/sudoers.d/anna"

chroot "$root" /usr/bin/python3 -m venv /opt/denet-tui
mkdir "$root/mnt/wheels"
cp "$wheels"/*.whl "$root/mnt/wheels"
chroot "$root" /opt/denet-tui/bin/pip install --quiet --no-index --find-links /mnt/wheels denet-tui
rm -rf "$root/mnt/wheels"
chroot "$root" chown -R root:root /opt/denet-tui
ln -s /opt/denet-tui/bin/denet-tui "$root/usr/local/bin/denet-tui"

cat > "$root/etc/systemd/system/lab.service" <<UNIT
[Unit]
Description=What the second disk brings, then power off
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mount /dev/vdb /mnt && sh /mnt/run'
ExecStopPost=/bin/sh -c 'umount /mnt; systemctl --no-block poweroff'
[Install]
WantedBy=graphical.target
UNIT
chroot "$root" systemctl --quiet enable lab.service

for suite in bullseye trixie; do
    sed "s/bookworm/$suite/g" "$root/etc/apt/sources.list" > "$root/etc/apt/sources.list.d/$suite.list"
done
# An archived suite's index is past its date by nature.
chroot "$root" apt-get -qq -o Acquire::Check-Valid-Until=false update
for kernel in 6.1/bookworm 5.10/bullseye 6.12/trixie; do
    suite=${kernel#*/} machine=$new/${kernel%/*}
    mkdir "$machine"
    # Only the kernel is the other suite's; everything else is bookworm's.
    image=$(chroot "$root" apt-cache depends "linux-image-amd64/$suite" | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
    chroot "$root" apt-get install -qqy --no-install-recommends "$image"
    mv "$root"/boot/vmlinuz-* "$machine/vmlinuz"
    mv "$root"/boot/initrd.img-* "$machine/initrd"
    # The index and the downloads of apt stay outside.
    mount -t tmpfs tmpfs "$root/var/lib/apt/lists"
    mount -t tmpfs tmpfs "$root/var/cache/apt"
    umount "$root/proc"
    truncate --size 2G "$machine/disk.img"
    mke2fs -q -t ext4 -d "$root" "$machine/disk.img"
    umount "$root/var/lib/apt/lists" "$root/var/cache/apt"
    mount -t proc proc "$root/proc"
    chroot "$root" apt-get purge -qqy "$image"
done
umount "$root/proc"
rm -rf "$root"
cp "$0" "$new/.made-by" # machines made by another version of this script are made anew
rm -rf "$dir"
mv "$new" "$dir"
