"""Runs a command and searches its memory at the moment it exits, and that of every process that it starts.

    memory_at_exit.py NEEDLES-FILE COMMAND...

NEEDLES-FILE: one `name hex` a line. Prints one JSON object: {"exit": code, "bytes": searched, "found": {name: [where]}}.
It ends with the last of them; the exit code is the command's. The kernel stops a traced process in exit_group, and at the end by a
signal, with its memory still mapped (PTRACE_O_TRACEEXIT); Linux only. Searching
for a needle that the command got as an argument would find the argument: needles come by file for that reason.
With MEMORY_DUMP in the environment, everything that was searched is added there as well, for needles that are known
only when the command is over.
"""

import ctypes
import json
import os
import sys

TRACEME, CONT, SETOPTIONS = 0, 7, 0x4200
# Forks, threads, programs that take the place of others, and ends.
OPTIONS, EVENT_EXIT = 0x2 | 0x4 | 0x8 | 0x10 | 0x40, 6
SIGSTOP, WALL = 19, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


def search(pid, needles):
    """(bytes searched, {name: [region+offset]}) over every readable mapping that the process can have written."""
    searched, found = 0, {}
    dump = open(os.environ.get("MEMORY_DUMP", os.devnull), "ab")
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


def is_thread(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(line for line in status if line.startswith("Tgid:")).split()[1] != str(pid)


def main():
    needles = dict((n, bytes.fromhex(h)) for n, h in (l.split() for l in open(sys.argv[1])))
    command = os.fork()
    if command == 0:
        ptrace(TRACEME, 0)
        os.execv(sys.argv[2], sys.argv[2:])
    os.waitpid(command, 0)  # stopped by exec
    ptrace(SETOPTIONS, command, OPTIONS)
    ptrace(CONT, command)
    result = {"bytes": 0, "found": {}}
    begun = {command}
    while True:
        try:
            pid, status = os.waitpid(-1, WALL)
        except ChildProcessError:
            break
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if pid == command:
                result["exit"] = os.waitstatus_to_exitcode(status)
            continue
        signal, event = os.WSTOPSIG(status), status >> 16
        if event == EVENT_EXIT and not is_thread(pid):
            searched, found = search(pid, needles)
            result["bytes"] += searched
            for needle, where in found.items():
                result["found"].setdefault(needle, []).extend(where)
        # Neither an event nor the stop that something traced begins with is a signal to it.
        if event or (pid not in begun and signal == SIGSTOP):
            signal = 0
        begun.add(pid)
        try:
            ptrace(CONT, pid, signal)
        except OSError:
            pass  # a thread that the end of its process took along
    json.dump(result, sys.stderr)
    sys.stderr.write("\n")


main()
