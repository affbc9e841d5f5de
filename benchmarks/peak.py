"""What Linux tells of a process's memory."""

from pathlib import Path


def read_peak() -> float | None:
    """The most that this process held so far, in kB; None off Linux.

    `ru_maxrss` would count the process that it was started from.
    """
    return read_status("VmHWM:")


def read_status(word: str) -> float | None:
    """A number of /proc/self/status by the word before it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) for line in lines if line.startswith(word)), None)
