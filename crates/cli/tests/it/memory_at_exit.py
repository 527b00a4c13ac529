"""Runs a command and searches its memory at the moment it exits.

    memory_at_exit.py NEEDLES-FILE COMMAND...

NEEDLES-FILE: one `name hex` a line. Prints one JSON object: {"exit": code, "bytes": searched, "found": {name: [where]}}.
The kernel stops a traced process in exit_group with its memory still mapped (PTRACE_O_TRACEEXIT); Linux only. Searching
for a needle that the command got as an argument would find the argument: needles come by file for that reason.
With MEMORY_DUMP in the environment, everything that was searched is written there as well, for needles that are known
only when the command is over.
"""

import ctypes
import json
import os
import sys

TRACEME, CONT, SETOPTIONS, OPTION_TRACEEXIT, EVENT_EXIT = 0, 7, 0x4200, 0x40, 6
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def search(pid, needles):
    """(bytes searched, {name: [region+offset]}) over every readable mapping that the process can have written."""
    searched, found = 0, {}
    dump = open(os.environ.get("MEMORY_DUMP", os.devnull), "wb")
    with dump, open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            fields = line.split(maxsplit=5)
            start, end = (int(x, 16) for x in fields[0].split("-"))
            name = fields[5].strip() if len(fields) > 5 else "anonymous"
            if "r" not in fields[1] or name in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            try:
                mem.seek(start)
                data = mem.read(end - start)
            except OSError:
                continue
            searched += len(data)
            dump.write(data)
            for needle, raw in needles.items():
                at = data.find(raw)
                while at != -1 and len(found.get(needle, [])) < 5:
                    found.setdefault(needle, []).append(f"{name}+{at:#x}")
                    at = data.find(raw, at + 1)
    return searched, found


def main():
    needles = dict((n, bytes.fromhex(h)) for n, h in (l.split() for l in open(sys.argv[1])))
    pid = os.fork()
    if pid == 0:
        ptrace(TRACEME, 0)
        os.execv(sys.argv[2], sys.argv[2:])
    os.waitpid(pid, 0)  # stopped by exec
    ptrace(SETOPTIONS, pid, OPTION_TRACEEXIT)
    ptrace(CONT, pid)
    result = {"bytes": 0, "found": {}}
    while True:
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            result["exit"] = os.waitstatus_to_exitcode(status)
            break
        signal = os.WSTOPSIG(status)
        if status >> 16 == EVENT_EXIT:
            result["bytes"], result["found"] = search(pid, needles)
            signal = 0
        ptrace(CONT, pid, signal)
    json.dump(result, sys.stderr)
    sys.stderr.write("\n")


main()
