"""States of a machine that only a virtual one can be in, and what denet-tui must say of each."""

from __future__ import annotations

from tests.lab.vm import Boot, Case

_CAPABLE = (
    "setpriv --reuid=anna --regid=anna --init-groups --inh-caps=-all,+bpf,+perfmon --ambient-caps=-all,+bpf,+perfmon "
    "--bounding-set=-all,+bpf,+perfmon --no-new-privs --"
)
"""Exactly what raw tracepoints need, without root: the least that they can be given."""

_RUN = "denet-tui run --no-tui --json -- sh -c 'id -un >&2'"
_USERS = {
    "sudo": f"cd /home/anna && runuser -u anna -- sudo {_RUN}",
    "selftest": "cd /home/anna && runuser -u anna -- sudo denet-tui selftest",
}
_FOR_ALL = (
    Case("as-installed", also=_USERS),
    Case("a-user-without-sudo", who="cd /home/bert && runuser -u bert --", ready=(), fails=("PRIV-001", "E2E-001")),
)

_REMEMBER_TRACEFS = "find /sys/kernel/tracing -printf '%m %G %p\\n' > /run/lab-tracefs"
_GIVE_TRACEFS_BACK = """
mount -o remount,mode=700,gid=0 /sys/kernel/tracing
while read -r mode gid path; do echo "$mode $path"; done < /run/lab-tracefs | python3 -c '
import os, sys
for line in sys.stdin:
    mode, path = line.rstrip("\\n").split(" ", 1)
    os.chmod(path, int(mode, 8))
'
"""

_OTHER_GUIDE = """
groupadd --system tracing
cat > /etc/systemd/system/tracefs-permissions.service <<'END'
[Unit]
Description=Set tracefs permissions for eBPF
After=sys-kernel-debug.mount
Requires=sys-kernel-debug.mount

[Service]
Type=oneshot
ExecStart=/bin/bash -c "sleep 1 && mount -o remount,mode=755 /sys/kernel/debug && chgrp -R tracing /sys/kernel/tracing"
ExecStart=/bin/bash -c "chmod -R g+rwx /sys/kernel/tracing"
RemainAfterExit=yes

[Install]
WantedBy=multi-user.target
END
cat > /etc/udev/rules.d/99-tracefs.rules <<'END'
SUBSYSTEM=="tracefs", GROUP="tracing", MODE="0750"
END
mkdir -p /etc/systemd/system/sys-kernel-debug.mount.d
printf '[Mount]\\nOptions=mode=755\\n' > /etc/systemd/system/sys-kernel-debug.mount.d/override.conf
printf 'kernel.unprivileged_bpf_disabled = 0\\nkernel.kptr_restrict = 0\\n' > /etc/sysctl.d/10-ebpf.conf
sysctl -q -p /etc/sysctl.d/10-ebpf.conf
systemctl daemon-reload
systemctl restart sys-kernel-debug.mount
systemctl -q enable tracefs-permissions.service
systemctl start tracefs-permissions.service
"""
_NO_OTHER_GUIDE = f"""
systemctl -q disable --now tracefs-permissions.service || true
rm -rf /etc/systemd/system/tracefs-permissions.service /etc/systemd/system/sys-kernel-debug.mount.d
rm -f /etc/udev/rules.d/99-tracefs.rules /etc/sysctl.d/10-ebpf.conf
systemctl daemon-reload
systemctl restart sys-kernel-debug.mount
mount -o remount,nosuid,nodev,noexec,mode=700,gid=0 /sys/kernel/debug
sysctl -q kernel.unprivileged_bpf_disabled=2
groupdel tracing
{_GIVE_TRACEFS_BACK}
"""

_SETTINGS = (
    Case(
        # Debian's level 3 refuses perf events even with CAP_PERFMON; raw tracepoints need none.
        "capabilities-only",
        make="[ $(cat /proc/sys/kernel/perf_event_paranoid) = 3 ]",
        who=_CAPABLE,
        ready=("raw",),
    ),
    Case(
        "hardened",
        make="sysctl -q kernel.kptr_restrict=2 net.core.bpf_jit_harden=2 kernel.perf_event_paranoid=4",
        clean="sysctl -q kernel.kptr_restrict=0 net.core.bpf_jit_harden=0 kernel.perf_event_paranoid=3",
        also={"capabilities-only": f"{_CAPABLE} denet-tui diag --json"},
    ),
    Case(
        "no-jit",
        make="sysctl -q net.core.bpf_jit_enable=0 || exit 9",
        clean="sysctl -q net.core.bpf_jit_enable=1",
        warns=("KERN-003",),
        fixes=("KERN-003.set",),
        mends=("KERN-003",),
    ),
    Case(
        "bpf-for-everybody",
        make="sysctl -q kernel.unprivileged_bpf_disabled=0",
        clean="sysctl -q kernel.unprivileged_bpf_disabled=2",
        warns=("KERN-004",),
        fixes=("KERN-004",),
        mends=("KERN-004",),
    ),
    Case(
        "bpf-for-everybody-for-good",
        make="sysctl -q kernel.unprivileged_bpf_disabled=0",
        clean="sysctl -q kernel.unprivileged_bpf_disabled=2",
        warns=("KERN-004",),
        fixes=("KERN-004.keep",),
        mends=("KERN-004",),
    ),
)

_DEBUGFS = ("mounts / /sys/kernel/debug", "kernel_modes /sys/kernel/debug ", "units sys-kernel-debug.mount")
"""denet-tui does not open debugfs to everybody again, not even to undo."""
_FILES = (
    Case(
        "no-tracefs",
        make="systemctl stop sys-kernel-tracing.mount",
        clean="systemctl start sys-kernel-tracing.mount",
        ready=("raw",),
        fixes=("FS-001",),
        mends=("FS-001", "FS-002"),
    ),
    Case(
        "interpreter-with-capabilities",
        make="cp /usr/bin/python3.11 /usr/local/bin/python-bpf; setcap cap_bpf+ep /usr/bin/python3.11; "
        "setcap cap_bpf,cap_perfmon+ep /usr/local/bin/python-bpf",
        clean="rm -f /usr/local/bin/python-bpf; setcap -r /usr/bin/python3.11",
        fails=("PRIV-007",),
        fixes=("PRIV-007",),
        mends=("PRIV-007",),
    ),
    Case(
        "debugfs-for-everybody",
        make="mount -o remount,suid,dev,exec,mode=755 /sys/kernel/debug",
        clean="mount -o remount,nosuid,nodev,noexec,mode=700 /sys/kernel/debug",
        warns=("FS-004",),
        fixes=("FS-004",),
        mends=("FS-004",),
        stays=_DEBUGFS,
    ),
    Case(
        "tracefs-for-a-group",
        make=f"groupadd --system tracing; {_REMEMBER_TRACEFS}; chgrp -R tracing /sys/kernel/tracing; "
        "chmod -R g+rwx /sys/kernel/tracing",
        clean=f"groupdel tracing; {_GIVE_TRACEFS_BACK}",
        fails=("FS-003",),
        fixes=("FS-003",),
    ),
    Case(
        "another-guide",
        make=f"{_REMEMBER_TRACEFS}; {_OTHER_GUIDE}",
        clean=_NO_OTHER_GUIDE,
        fails=("FS-003",),
        warns=("LEFT-001", "FS-004", "KERN-004", "KERN-005"),
        fixes=("LEFT-001", "FS-003", "FS-004", "KERN-004"),
        mends=("LEFT-001", "FS-004", "KERN-004", "KERN-005"),
        stays=_DEBUGFS,
    ),
)

_NO_BPF_FOR_OTHERS = Case(
    # The last of a boot: only the next one gives this back.
    "bpf-never-for-others",
    make="sysctl -q kernel.unprivileged_bpf_disabled=1",
    also={"capabilities-only": f"{_CAPABLE} denet-tui diag --json"},
)

_LOCKED_MEMORY = (
    # Below 5.11 maps are locked memory. Root may raise the limit, and libbcc does: it is no obstacle then.
    Case("little-locked-memory-root", who="prlimit --memlock=65536:65536"),
    Case(
        "little-locked-memory",
        who="prlimit --memlock=65536:65536 setpriv --bounding-set=-sys_resource --",
        ready=(),
        fails=("KERN-007", "E2E-001"),
    ),
    Case(
        "little-locked-memory-capabilities-only",
        who=f"prlimit --memlock=65536:65536 {_CAPABLE}",
        ready=(),
        fails=("KERN-007", "E2E-001"),
    ),
    Case(
        "locked-memory-capabilities-only",
        who=f"prlimit --memlock=unlimited:unlimited {_CAPABLE}",
        ready=("raw",),
    ),
)
_LOCKED_DOWN = Case(
    "locked-down",
    ready=(),
    fails=("KERN-008", "E2E-001"),
    warns=("LOG-001",),
    also={"loading": "denet-tui selftest --debug"},
)

# tracefs keeps modes and owners in another way from 6.6 on (eventfs): these states on each kernel.
_TRACEFS = tuple(case for case in _FILES if case.name in ("no-tracefs", "tracefs-for-a-group"))

BOOTS = (
    Boot("6.1", (*_FOR_ALL, *_SETTINGS, *_FILES, _NO_BPF_FOR_OTHERS)),
    Boot("6.1", _FOR_ALL, "lockdown=integrity"),
    Boot("6.1", (_LOCKED_DOWN,), "lockdown=confidentiality"),
    Boot("5.10", (*_FOR_ALL, *_TRACEFS, *_LOCKED_MEMORY)),
    Boot("6.12", (*_FOR_ALL, *_TRACEFS)),
    Boot("6.12", (_LOCKED_DOWN,), "lockdown=confidentiality"),
)
