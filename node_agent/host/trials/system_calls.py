"""Takes from this process the system calls that a trial has no use for: a filter of the kernel (seccomp).

What onnxruntime may have been made to do by a graph that no rule caught then cannot speak to the network, start or
touch other processes, or change a file. Refused calls fail with EPERM, so that a library that only asks goes on.
"""

import ctypes
import errno
import platform
import struct

PR_SET_NO_NEW_PRIVS = 38
_PR_GET_SECCOMP, _PR_SET_SECCOMP = 21, 22
_FILTER_MODE = 2

# Of a filter: load a word of the call's data, jump if equal / at least / any bit, return. Source: linux/bpf_common.h.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE = 0x00050000
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_WRITING_FLAGS = 0o3 | 0o100 | 0o1000
"""Of `open`: O_WRONLY and O_RDWR, O_CREAT, O_TRUNC."""
_THREAD_FLAG = 0x10000
"""Of `clone`: a thread, not a process."""
_FOREIGN_NUMBERS = 0x40000000
"""From here on numbers are of x86-64's other convention, x32."""

_AUDIT_NAME = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_OPENS = {"x86_64": {2: 1, 257: 2}, "aarch64": {56: 2}}
"""`open` and `openat`, and which of their arguments has the flags."""
# socket connect accept sendto sendmsg bind listen socketpair accept4 sendmmsg; fork vfork execve execveat; kill tkill
# ptrace process_vm_readv and _writev pidfd_*; unlink rename mkdir rmdir link symlink mknod creat chmod chown truncate
# and their forms; mount and umount, bpf, perf_event_open, io_uring_*, userfaultfd, keyrings, openat2.
_REFUSED = {
    "x86_64": (
        *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307, 57, 58, 59, 322, 62, 200, 101, 310, 311, 424, 434, 438),
        *(87, 263, 82, 264, 316, 83, 258, 84, 86, 265, 88, 266, 133, 259, 85, 90, 91, 268, 92, 93, 94, 260, 76, 77),
        *(165, 166, 321, 298, 425, 426, 427, 323, 248, 249, 250, 437, 155, 161, 272, 308),
    ),
    "aarch64": (
        *(198, 199, 200, 201, 202, 203, 206, 211, 242, 269, 221, 281, 129, 130, 117, 270, 271, 424, 434, 438),
        *(33, 34, 35, 36, 37, 38, 276, 45, 46, 51, 52, 53, 54, 55),
        *(39, 40, 41, 97, 268, 280, 241, 425, 426, 427, 282, 217, 218, 219, 437),
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("n_instructions", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def why_no_filter() -> str:
    """Why this process cannot give up system calls; empty where it can."""
    if platform.machine() not in _AUDIT_NAME:
        return f"the system calls of {platform.machine()} are not known"
    has_filters = ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return "" if has_filters else "the kernel has no filters of system calls"


def filter_for(machine: str) -> bytes:
    """The filter's instructions.

    Args:
        machine: `x86_64` or `aarch64`.
    """
    instructions = [_instruction(_LOAD, _MACHINE_AT), _instruction(_IF_EQUAL, _AUDIT_NAME[machine], met=1)]
    instructions += [_instruction(_RETURN, _KILL), _instruction(_LOAD, _NUMBER_AT)]
    instructions += [_instruction(_IF_AT_LEAST, _FOREIGN_NUMBERS, unmet=1), _returned(errno.EPERM)]
    for number in _REFUSED[machine]:
        instructions += [_instruction(_IF_EQUAL, number, unmet=1), _returned(errno.EPERM)]
    instructions += [_instruction(_IF_EQUAL, _CLONE3, unmet=1), _returned(errno.ENOSYS)]  # the C library takes clone
    for number, argument in _OPENS[machine].items():
        instructions += _if_argument(number, argument, _WRITING_FLAGS, refused_if_set=True)
    instructions += _if_argument(_CLONE[machine], 0, _THREAD_FLAG, refused_if_set=False)
    instructions.append(_instruction(_RETURN, _ALLOW))
    return b"".join(instructions)


def _if_argument(number: int, argument: int, bits: int, *, refused_if_set: bool) -> list[bytes]:
    """Refuses a call by bits of one argument, whose low word comes first on both machines; ends what it decides."""
    allowed, refused = _instruction(_RETURN, _ALLOW), _returned(errno.EPERM)
    return [
        _instruction(_IF_EQUAL, number, unmet=4),
        _instruction(_LOAD, _ARGUMENTS_AT + 8 * argument),
        _instruction(_IF_BITS, bits, unmet=1),
        refused if refused_if_set else allowed,
        allowed if refused_if_set else refused,
    ]


def _returned(number: int) -> bytes:
    return _instruction(_RETURN, _REFUSE | number)


def _instruction(code: int, value: int, *, met: int = 0, unmet: int = 0) -> bytes:
    """One instruction; jumps say how many to leave out."""
    return struct.pack("=HBBI", code, met, unmet, value)


def refuse_system_calls() -> None:
    """Applies the filter to this process, for good.

    Raises:
        OSError: The kernel has no filters, or the machine's calls are not known here.
    """
    if reason := why_no_filter():
        raise OSError(errno.ENOSYS, reason)
    content = filter_for(platform.machine())
    program = _Program(len(content) // 8, content)
    library = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0),
    ):
        if library.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "the kernel refuses the filter of system calls")
