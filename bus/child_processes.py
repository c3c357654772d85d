"""Child processes that do not outlive the process that started them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

# A killed parent cannot stop its children, but the kernel can (PR_SET_PDEATHSIG is 1, and survives exec). A small
# program in between sets it, because running code between fork and exec is unsafe with threads.
_LAUNCHER = f"""\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)}, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """Return the command wrapped so that it is killed with its parent. Linux only; unchanged elsewhere.

    The kernel kills it when the *thread* that started it ends, so start it from the main thread.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
