"""Runs a command and adds a line to standard error: the most memory that it held at once, in KiB (Linux)."""

import os
import sys

pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
sys.stderr.write(f"\n{usage.ru_maxrss}\n")
sys.exit(os.waitstatus_to_exitcode(status))
