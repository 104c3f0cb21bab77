# box.sh FOLDER REPOSITORY: systemd as process 1 of namespaces of its own, on a copy of this machine that is gone with it.
#
# Run by `unshare --mount --pid --fork --uts --ipc --net --cgroup sh -eu`. What it writes is in memory; the kernel's
# settings cannot be written. /sys/fs/cgroup is as outside, from the group downwards that this was started in.
folder=$1 repository=$2 root=$1/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$root"
mkdir -p "$root/mnt"
mount --bind "$repository" "$root/mnt"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
awk '$3 ~ /^cgroup2?$/ && $2 ~ "^/sys/fs/cgroup" { print $2, $3, $4 }' /proc/self/mounts | while read -r point kind options; do
    mountpoint -q "$root/sys/fs/cgroup" || [ "$point" = /sys/fs/cgroup ] || mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    case $kind/$options in
    cgroup2/*) chosen=rw ;;
    *name=systemd*) chosen=none,name=systemd ;;
    *) chosen=$(echo "$options" | sed 's/^rw,//; s/\(relatime\|nosuid\|nodev\|noexec\),//g') ;;
    esac
    mkdir -p "$root$point"
    mount -t "$kind" -o "$chosen" cgroup "$root$point"
done
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    : > "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for name in run tmp etc/systemd/system; do mount -t tmpfs -o mode=755 tmpfs "$root/$name"; done
chmod 1777 "$root/tmp"
cd "$root"
exec chroot "$root" env -i container=box PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=basic.target --log-target=journal --show-status=no
