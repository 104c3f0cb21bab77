"""A machine that is really broken, for one mount namespace: bcc removed, tracefs not mounted.

/usr, /var and /etc are overlays there, so that a package manager can work for real and nothing of it stays.
"""

from __future__ import annotations

import shlex
import shutil

import pytest

PACKAGE = "python3-bpfcc"
OVERLAYS = """
umount -q -a -t tracefs
mount -t tmpfs tmpfs /mnt
for each in usr var etc; do
    mkdir /mnt/$each.upper /mnt/$each.work
    mount -t overlay overlay -o lowerdir=/$each,upperdir=/mnt/$each.upper,workdir=/mnt/$each.work /$each || exit 97
done
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/denet-tui
"""
REPOSITORY = f"""
mkdir -p /mnt/repository /mnt/package/DEBIAN
dpkg-query -L {PACKAGE} | while read -r path; do
    [ -d "$path" ] || [ ! -e "$path" ] || {{ mkdir -p "/mnt/package${{path%/*}}"; cp -a "$path" "/mnt/package$path"; }}
done
dpkg-query -s {PACKAGE} | grep -v '^Status:' > /mnt/package/DEBIAN/control
dpkg-deb -Znone -b /mnt/package /mnt/repository/it.deb > /dev/null
{{ cat /mnt/package/DEBIAN/control; echo 'Filename: ./it.deb'; echo "Size: $(stat -c %s /mnt/repository/it.deb)"
   echo "SHA256: $(sha256sum /mnt/repository/it.deb | cut -d' ' -f1)"; }} > /mnt/repository/Packages
echo 'deb [trusted=yes] file:/mnt/repository ./' > /etc/apt/sources.list
"""
"""The installed package, packed again, in a repository of its own: no network is asked."""
NOTHING_TO_BE_HAD = f"""
mkdir -p /mnt/repository
dpkg-query -s {PACKAGE} | grep -v '^Status:' > /mnt/repository/Packages
printf 'Filename: ./it.deb\\nSize: 1\\nSHA256: %064d\\n' 0 >> /mnt/repository/Packages
echo 'deb [trusted=yes] file:/mnt/repository ./' > /etc/apt/sources.list
"""
"""A repository that has lost the package: what a mirror that cannot be reached looks like to apt."""
REMOVED = f"apt-get update -qq; dpkg --remove --force-depends {PACKAGE} > /dev/null 2>&1\n"


def broken(repository: str = REPOSITORY) -> list[str]:
    """What to put in front of a command for it to run on that machine; skips where it cannot be made."""
    for tool in ("dpkg-query", "apt-get", "unshare"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}: a package is removed and installed again")
    return ["unshare", "--mount", "sh", "-c", f'{OVERLAYS}{repository}{REMOVED}exec "$@"', "sh"]


def on_broken(argv: list[str], repository: str = REPOSITORY) -> str:
    """The same as a line for a shell."""
    return shlex.join([*broken(repository), *argv])
