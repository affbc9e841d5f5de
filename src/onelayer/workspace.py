"""A folder for what a long training keeps on disk: gone at its end, kept if it is killed.

Each training has a folder of its own below a common one, named by what it is about (the table, all
options, the version of onelayer), with a lock that ends with the process. So a training that starts
anew can clear away what dead ones left, and one that resumes finds its own.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onelayer import __version__
from onelayer.errors import InputError
from onelayer.writing import replace_file

LOCK, STATE, MADE = "lock", "state.json", "made"
PREFIX = "training-"

_open: list["Workspace"] = []


def default_folder() -> Path:
    """Where trainings keep their rows unless told otherwise."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "onelayer"


class Workspace:
    """One training's folder.

    Attributes
    ----------
    folder: its path. state: what an earlier run of the same training left to go on from, or {}.
    """

    def __init__(self, root: Path, about: object, resume: bool) -> None:
        told = json.dumps([__version__, about], sort_keys=True, default=repr)
        key = hashlib.sha256(told.encode()).hexdigest()
        self.folder = root / f"{PREFIX}{key[:16]}"
        self.state: dict[str, Any] = {}
        # Made by a training, perhaps by one that was killed, the common folder goes with the last.
        self._made_root = not root.exists() or any(root.glob(f"{PREFIX}*/{MADE}"))
        with _naming(root):
            root.mkdir(parents=True, exist_ok=True)
            if not resume:
                _clear(root)
            self.folder.mkdir(exist_ok=True)
            self._lock = _lock(self.folder)
            if self._made_root:
                (self.folder / MADE).touch()
        if self._lock is None:
            raise InputError(
                f"{self.folder}: another training of the same table with the same options is under "
                "way; wait for it, or give this one a folder of its own (cache, --cache)"
            )
        if resume and (self.folder / STATE).exists():
            self.state = json.loads((self.folder / STATE).read_text())
        _open.append(self)

    def save(self, **changes: Any) -> None:
        """Remember more of where the training stands: whole, or as it was before."""
        self.state |= changes
        content = json.dumps(self.state).encode()
        replace_file(self.folder / STATE, lambda stream: stream.write(content))

    def remove(self) -> None:
        """Delete the folder."""
        if self in _open:
            _open.remove(self)
            shutil.rmtree(self.folder, ignore_errors=True)
            if self._lock is not None:
                os.close(self._lock)
            if self._made_root:
                with contextlib.suppress(OSError):  # others may have theirs there
                    self.folder.parent.rmdir()


@contextlib.contextmanager
def open_workspace(root: Path | None, about: object, resume: bool) -> Iterator[Workspace]:
    """A workspace that is removed at the end, by errors and by Ctrl-C; a killed process leaves it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_workspace(Path(folder) / "rows", {"table": "loans"}, resume=False) as own:
    ...         own.save(stage="encoding")
    ...         there = own.folder.exists()
    ...     there, own.folder.exists()
    (True, False)
    """
    workspace = Workspace(root or default_folder(), about, resume)
    try:
        yield workspace
    finally:
        workspace.remove()


def remove_all() -> None:
    """Delete the folders of all trainings of this process, which is about to end."""
    while _open:
        _open[0].remove()


def free_bytes(root: Path | None) -> int:
    """How much room is left on the disk that the folder is or would be on."""
    folder = root or default_folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _clear(root: Path) -> None:
    """Delete what trainings left that are no more."""
    for folder in root.glob(f"{PREFIX}*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """A lock on the folder that lasts as long as the process; None where another holds it."""
    if os.name != "posix":
        return os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
    import fcntl

    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return None
    return descriptor


@contextlib.contextmanager
def _naming(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot keep encoded rows in {root} ({error.strerror or error}); name another folder "
            "(cache, --cache)"
        ) from None
