"""Files written beside, synced and renamed: a full disk or Ctrl-C leaves the old one whole."""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from onelayer.errors import InputError

Write = Callable[[BinaryIO], object]

# Standard output keeps the position and the append mode that the shell gave it only if its own
# descriptor is used: opening /dev/stdout anew would start at byte 0 of `>> all.csv`.
_NAMED_DESCRIPTORS = {"/dev/stdout": 1, "/dev/stderr": 2}
_NUMBERED_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
# Pieces small enough that Ctrl-C is obeyed between two of them.
_PIECE_BYTES = 1 << 20
_BESIDE = ".onelayer-"
_MAX_LINKS = 40  # as many as Linux itself follows
_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}


def replace_file(path: str | os.PathLike[str], write: Write) -> None:
    """Let `write(stream)` fill the file at `path`: it is the old one or the new one, never half.

    The bytes go to a file beside it, which is synced and renamed over the old one. On any error,
    Ctrl-C included, the old file is untouched and nothing is left beside it. A link stays a link
    (the file behind it is replaced), the mode and the owner of the old file are kept, a new one
    follows the umask; other hard links to the old file keep the old bytes. Devices, pipes and
    /dev/stdout are written straight.

    Args:
        path: The file to write.
        write: Called once with a binary stream open for writing; what it returns is ignored.

    Raises:
        InputError: The file cannot be written (one line that names it and says why).
        BrokenPipeError: The reader of a pipe went away (not a mistake; `| head` does it).

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(os.path.join(folder, "note.txt"), lambda stream: stream.write(b"whole"))
    ...     os.listdir(folder)
    ['note.txt']
    """
    check_target(path)
    with _name_in_errors(path):
        if _is_special(path):
            _write_straight(path, write)
        else:
            _write_beside(Path(os.path.realpath(path)), write)


def check_target(path: str | os.PathLike[str]) -> None:
    """Say now, before hours of work, what would stop `replace_file` from writing to `path`.

    Raises:
        InputError: `path` is a folder, its folder is missing, or one of them may not be written.
    """
    with _name_in_errors(path):
        name = os.fspath(path)
        if not name or "\0" in name:
            raise InputError(f"cannot write {printable(name)!r}: this is no file name")
        if _is_special(path):
            return
        if os.path.isdir(name) or name.endswith(os.sep):
            raise InputError(f"cannot write {printable(name)}: it is a folder; name a file in it")
        _check_permissions(printable(name), os.path.realpath(name))


def write_whole(stream: BinaryIO, encoded: bytes | memoryview) -> None:
    """Write all bytes to a stream, which may take fewer at a time than it is given.

    So does the standard output of `python -u` where a reader has gone away in the midst of it.
    """
    rest = memoryview(encoded)
    while rest:
        rest = rest[stream.write(rest[:_PIECE_BYTES]) :]


def printable(name: str | os.PathLike[str]) -> str:
    """Give a file name as one line of text that any terminal can show.

    >>> printable("loans.csv"), printable("two" + chr(10) + "lines.csv")
    ('loans.csv', "'two\\\\nlines.csv'")
    """
    text = os.fspath(name)
    return text if text.isprintable() else ascii(text)


def _check_permissions(shown: str, target: str) -> None:
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise InputError(
            f"cannot write {shown}: there is no folder {printable(folder)}; make it first"
        )
    # The folder's permission alone would let a read-only file be replaced, against all wishes.
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise InputError(f"cannot write {shown}: the file is read-only; choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {shown}: no permission to write in {printable(folder)}")


@contextlib.contextmanager
def _name_in_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if not _is_ours(error, path):
            raise
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot write {printable(path)}: {reason[:1].lower()}{reason[1:]}"
        ) from error


def _is_ours(error: OSError, path: str | os.PathLike[str]) -> bool:
    """Whether writing `path` failed, and not the reading of another file inside `write`."""
    if error.filename is None:  # errors of an open stream bear no name
        return True
    name, target = str(error.filename), os.path.realpath(path)
    if os.path.basename(name).startswith(_BESIDE):
        return True
    return name in (os.fspath(path), target, os.path.dirname(target))


def _is_special(path: str | os.PathLike[str]) -> bool:
    if _descriptor_of(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _descriptor_of(path: str | os.PathLike[str]) -> int | None:
    name = os.path.abspath(path)
    for _ in range(_MAX_LINKS):
        numbered = _NUMBERED_DESCRIPTOR.fullmatch(name)
        if numbered:
            return int(numbered[1])
        if name in _NAMED_DESCRIPTORS:
            return _NAMED_DESCRIPTORS[name]
        if not os.path.islink(name):
            return None
        name = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(name)))
    return None


def _write_straight(path: str | os.PathLike[str], write: Write) -> None:
    descriptor = _descriptor_of(path)
    with open(path if descriptor is None else os.dup(descriptor), "wb") as stream:
        write(stream)


def _write_beside(target: Path, write: Write) -> None:
    # The name is settled before the file exists, so that no moment is left in which Ctrl-C could
    # strand a file that nobody knows of; it is short, for names may already be at their longest.
    beside = target.parent / f"{_BESIDE}{secrets.token_hex(8)}.tmp"
    try:
        _write_synced(beside, _status_of(target), write)
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    _sync_folder(target.parent)


def _status_of(target: Path) -> os.stat_result | None:
    try:
        return os.stat(target)
    except FileNotFoundError:
        return None


def _write_synced(beside: Path, old: os.stat_result | None, write: Write) -> None:
    def create(name: str, flags: int) -> int:
        # A file that was private is never readable for others, not even while it is empty.
        return os.open(name, flags, 0o666 if old is None else 0o600)

    with open(beside, "xb", opener=create) as stream:
        if old is not None:
            _keep_owner_and_mode(beside, old)
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())


def _keep_owner_and_mode(beside: Path, old: os.stat_result) -> None:
    if hasattr(os, "chown"):
        # Only root may give a file away; anybody else's new file is their own.
        with contextlib.suppress(PermissionError):
            os.chown(beside, old.st_uid, old.st_gid)
    os.chmod(beside, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system can do so."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(descriptor)
