"""Code run in a fresh interpreter: what is imported, and what a first call finds."""

import os
import subprocess
import sys


def run_python(code: str, timeout: float = 60, **environment: str) -> str:
    """What `code` prints; a failure shows its traceback. Warnings are errors there too."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
