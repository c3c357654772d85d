"""Child processes that do not outlive the process that started them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

# A parent that is killed can stop nothing: the kernel does (PR_SET_PDEATHSIG is 1, kept across exec). A small
# program in between sets it, because code between fork and exec is unsafe where threads run.
_LAUNCHER = f"""\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)}, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """The command, started so that it is killed with its parent. Linux only; elsewhere the command as it is.

    It is killed when the *thread* that started it ends: start it from the main thread.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
