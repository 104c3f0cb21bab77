"""What the kernel side is told of the calls: which of them carry descriptors, paths and addresses, and where."""

from __future__ import annotations

import os
import select
import struct

from denet_tui.bpf.btf import FUNCTION, Btf
from denet_tui.bpf.maps import Map, freeze, kernel_version
from denet_tui.bpf.request import Request
from denet_tui.system import uname

READS, WRITES, OPENS, HAS_FILE, HAS_SECOND, HAS_BYTES, HAS_PATH, HAS_FOLDER, HAS_ADDRESS, HAS_OTHER, HAS_PEER, BINDS = (
    1 << bit for bit in range(12)
)
"""As kernel/file_maps.c has them."""
FILE_1, SECOND_2, PATH_1, PATH_2, PATH_4 = 1 << 12, 2 << 14, 1 << 16, 2 << 16, 3 << 16
MESSAGE_1 = TWO_3 = PATH_1
"""Which argument it is, where it is not the first."""
MAKES_TWO = 1 << 18
_CALLS = {
    READS | HAS_FILE | HAS_BYTES: """
        read:0:63 readv:19:65 pread64:17:67 preadv:295:69 preadv2:327:286 getdents:78:-
        getdents64:217:61
    """,
    WRITES | HAS_FILE | HAS_BYTES: """
        write:1:64 writev:20:66 pwrite64:18:68 pwritev:296:70 pwritev2:328:287
    """,
    READS | HAS_FILE | HAS_BYTES | HAS_PEER: "recvfrom:45:207",
    WRITES | HAS_FILE | HAS_BYTES | HAS_PEER: "sendto:44:206",
    READS | HAS_FILE | HAS_BYTES | HAS_PEER | MESSAGE_1: "recvmsg:47:212",
    WRITES | HAS_FILE | HAS_BYTES | HAS_PEER | MESSAGE_1: "sendmsg:46:211",
    READS | HAS_FILE: "recvmmsg:299:243",
    WRITES | HAS_FILE: "sendmmsg:307:269",
    READS | HAS_FILE | HAS_SECOND | HAS_BYTES | FILE_1: "sendfile:40:71",
    READS | HAS_FILE | HAS_SECOND | HAS_BYTES | SECOND_2: "splice:275:76 copy_file_range:326:285",
    HAS_FILE: """
        ioctl:16:29 fsync:74:82 fdatasync:75:83 sync_file_range:277:84 syncfs:306:267 fallocate:285:47 ftruncate:77:46
        flock:73:32 epoll_wait:232:- epoll_pwait:281:22 epoll_pwait2:441:441 vmsplice:278:75
    """,
    OPENS | HAS_FILE: "accept:43:202 accept4:288:242",
    OPENS: """
        socket:41:198 eventfd:284:- eventfd2:290:19 memfd_create:319:279 memfd_secret:447:447 epoll_create:213:-
        epoll_create1:291:20 timerfd_create:283:85 signalfd:282:- signalfd4:289:74 inotify_init:253:-
        inotify_init1:294:26 pidfd_open:434:434 userfaultfd:323:282 open_by_handle_at:304:265
        io_uring_setup:425:425 perf_event_open:298:241 fanotify_init:300:262
    """,
    MAKES_TWO: "pipe:22:- pipe2:293:59",
    MAKES_TWO | TWO_3: "socketpair:53:199",
    HAS_FILE | HAS_ADDRESS: "connect:42:203",
    HAS_FILE | HAS_ADDRESS | BINDS: "bind:49:200",
    OPENS | HAS_PATH: "open:2:- creat:85:- mq_open:240:180",
    OPENS | HAS_PATH | HAS_FOLDER | PATH_1: "openat:257:56 openat2:437:437",
    HAS_PATH: """
        access:21:- stat:4:- lstat:6:- statfs:137:43 readlink:89:- execve:59:221 unlink:87:- mkdir:83:- rmdir:84:-
        chdir:80:49 chroot:161:51 chmod:90:- chown:92:- lchown:94:- truncate:76:45 mknod:133:-
        acct:163:89 swapon:167:224 swapoff:168:225 umount2:166:39 utime:132:- utimes:235:- getxattr:191:8
        lgetxattr:192:9 setxattr:188:5 lsetxattr:189:6 listxattr:194:11 llistxattr:195:12 removexattr:197:14
        lremovexattr:198:15 mq_unlink:241:181 uselib:134:-
    """,
    HAS_PATH | HAS_OTHER: "rename:82:- link:86:- pivot_root:155:41",
    HAS_PATH | HAS_OTHER | HAS_FOLDER | PATH_1: """
        renameat:264:38 renameat2:316:276 linkat:265:37 move_mount:429:429
    """,
    HAS_PATH | PATH_1: "symlink:88:- inotify_add_watch:254:27 mount:165:40 quotactl:179:60",
    HAS_PATH | HAS_FOLDER | PATH_1: """
        statx:332:291 newfstatat:262:79 faccessat:269:48 faccessat2:439:439 readlinkat:267:78 execveat:322:281
        unlinkat:263:35 mkdirat:258:34 mknodat:259:33 fchmodat:268:53
        fchmodat2:452:452 fchownat:260:54 utimensat:280:88 futimesat:261:- name_to_handle_at:303:264 open_tree:428:428
        fspick:433:433 mount_setattr:442:442 setxattrat:463:463 getxattrat:464:464 listxattrat:465:465
        removexattrat:466:466 open_tree_attr:467:467 file_getattr:468:468 file_setattr:469:469
    """,
    HAS_PATH | HAS_FOLDER | PATH_2: "symlinkat:266:36",
    HAS_PATH | HAS_FOLDER | PATH_4: "fanotify_mark:301:263",
}
"""By what they do: name, number on x86-64, number in the generic table. What they lack is touched.NOT_IN_FILES."""
MAPS = ("files", "file_names", "failed_paths", "slow_calls", "slow_bars", "turned_away", "givens", "abouts")
"""That are handed over."""
_FROZEN = "abouts"
"""Who reads it must not write to it: the kernel side goes by what is in it."""
_PER_FILE = {"FILES": 32768, "FILE_NAMES": 4096, "FAILED_PATHS": 8192}
"""Entries between two readings: rows of a process and a file, new names, failing paths; at most as many as `rows`."""
_OTHERS = {"SLOW_CALLS": 4096, "NAMED": 32768, "GIVENS": 4096}
"""CPUs x calls between two readings, files whose name has been told, threads that block with a path or an address."""
PATH_OFFSETS = {
    "task_struct.fs": "OFF_FS",
    "fs_struct.pwd": "OFF_PWD",
    "path.mnt": "OFF_PATH_MOUNT",
    "path.dentry": "OFF_DENTRY",
    "dentry.d_parent": "OFF_DPARENT",
    "dentry.d_hash": "OFF_D_HASH",
    "dentry.d_name.name": "OFF_DNAME",
    "dentry.__d_name.name": "OFF_DNAME",
    "mount.mnt": "OFF_MOUNT",
    "mount.mnt_parent": "OFF_MNT_PARENT",
    "mount.mnt_mountpoint": "OFF_MNT_POINT",
    "vfsmount.mnt_root": "OFF_MNT_ROOT",
}
"""Of names, folders and mounts (kernel/paths.c)."""
OFFSETS = {
    "task_struct.files": "OFF_FILES",
    "files_struct.fdt": "OFF_FDT",
    "fdtable.max_fds": "OFF_MAX_FDS",
    "fdtable.fd": "OFF_FDS",
    "file.f_inode": "OFF_F_INODE",
    "file.f_path": "OFF_F_PATH",
    "file.private_data": "OFF_PRIVATE",
    "fs_struct.root": "OFF_ROOT",
    "dentry.d_inode": "OFF_D_INODE",
    "inode.i_ino": "OFF_INO",
    "inode.i_mode": "OFF_MODE",
    "inode.i_sb": "OFF_SB",
    "inode.i_rdev": "OFF_RDEV",
    "inode.i_generation": "OFF_GENERATION",
    "super_block.s_dev": "OFF_S_DEV",
    "super_block.s_magic": "OFF_S_MAGIC",
    "socket.sk": "OFF_SK",
    "socket.type": "OFF_SOCKET_TYPE",
    "sock.sk_protocol": "OFF_PROTOCOL",
    "sock_common.skc_family": "OFF_FAMILY",
    "sock_common.skc_num": "OFF_LOCAL_PORT",
    "sock_common.skc_dport": "OFF_REMOTE_PORT",
    "sock_common.skc_rcv_saddr": "OFF_LOCAL_4",
    "sock_common.skc_daddr": "OFF_REMOTE_4",
    **PATH_OFFSETS,
}
OPTIONAL = {
    "sock_common.skc_v6_rcv_saddr": "OFF_LOCAL_6",
    "sock_common.skc_v6_daddr": "OFF_REMOTE_6",
    "unix_sock.addr": "OFF_UNIX_ADDR",
    "unix_sock.peer": "OFF_UNIX_PEER",
    "unix_address.len": "OFF_UNIX_LENGTH",
    "unix_address.name": "OFF_UNIX_NAME",
    "cred.euid": "OFF_EUID",
    "cred.suid": "OFF_SUID",
    "cred.gid": "OFF_GID",
    "cred.egid": "OFF_EGID",
    "cred.sgid": "OFF_SGID",
    "cred.cap_permitted": "OFF_PERMITTED",
    "cred.user_ns": "OFF_USER_NS",
    "user_namespace.owner": "OFF_NS_OWNER",
    "user_namespace.level": "OFF_NS_LEVEL",
    "mm_struct.flags": "OFF_MM_FLAGS",
}
"""Without these something is not told of, and the rest is."""
_TYPES = {"file": "TYPE_FILE", "inode": "TYPE_INODE", "list_head": "TYPE_POINTER"}
"""Structs that are read without a helper since Linux 6.2; a list_head begins with a pointer."""
_CAST = "RDONLY_CAST"
"""The function of the kernel by which that is done."""
_NUMBERS = 640
"""Entries of `classes` (NUMBERS in kernel/maps.c)."""


def offsets(request: Request) -> dict[str, str]:
    """Members whose offsets files and paths need on this machine, and their macros; none where not asked for."""
    return {} if request.detail == "calls" else OFFSETS | OPTIONAL


def maps_of(request: Request) -> tuple[str, ...]:
    """Those that there are, where files and paths can be told; `classes` is to be filled, and not handed over."""
    return () if request.detail == "calls" else (*MAPS, "classes")


def add_flags(request: Request, values: dict[str, int], kernel: Btf | None) -> list[str]:
    """Add to the macros what files and paths need, where asked for; notes for the user where they cannot be told."""
    if request.detail == "calls":
        return []
    if lacking := {*OFFSETS.values(), *(f"OFF_ARG_{number}" for number in range(6))} - values.keys():
        return [f"files and paths are left out: this kernel's BTF lacks {', '.join(sorted(lacking))}"]
    if "ATTACH_RAW" not in values and "TASK_REGS" not in values:
        return ["files and paths are left out: with tracefs tracepoints they need Linux 5.15"]
    values.update({"DETAIL_FILES": 1} | {name: size << request.scale for name, size in (_PER_FILE | _OTHERS).items()})
    values.update({name: min(values[name], request.rows or values[name]) for name in _PER_FILE})
    if kernel_version() >= (6, 13):
        values["OVERLAY_FILE"] = 1  # the private data of an overlay's file, which begins with the file below
    if kernel and (cast := kernel.numbers(["bpf_rdonly_cast"], FUNCTION)):
        types = kernel.numbers(_TYPES)
        values.update({macro: types[name] for name, macro in _TYPES.items()} | {_CAST: cast["bpf_rdonly_cast"]})
    return []


def without_cast(flags: list[str]) -> list[str]:
    """The same for a kernel that has the function, and lets no program call it."""
    return [flag for flag in flags if not flag.startswith(f"-D{_CAST}=")]


def classes() -> dict[int, int]:
    """What kernel/file_entry.c is to take of each call, by its number on this machine."""
    column = 1 if uname.machine() == "x86_64" else 2
    rows = [(row.split(":"), kind) for kind, text in _CALLS.items() for row in text.split()]
    return {int(row[column]): kind for row, kind in rows if row[column] != "-"}


def fill(tables: dict[str, int]) -> dict[str, int]:
    """Tell the kernel side where there is a map for it, and return the others, by descriptor; raises OSError."""
    if "classes" not in tables:
        return tables
    table = Map(tables["classes"])
    for number, kind in classes().items():
        table.update(struct.pack("<I", number), struct.pack("<I", kind))
    with select.epoll() as anonymous:
        device = os.fstat(anonymous.fileno()).st_dev
    packed = os.major(device) << 20 | os.minor(device)  # dev_t of the kernel (include/linux/kdev_t.h)
    table.update(struct.pack("<I", _NUMBERS - 1), struct.pack("<I", packed))
    freeze(tables[_FROZEN])
    return {name: each for name, each in tables.items() if name != "classes"}
