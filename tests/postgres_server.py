"""A PostgreSQL server of its own for a test, in a folder, behind a socket there, no port."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_programs() -> tuple[str, str] | None:
    """`initdb` and `postgres`, on the path or where Debian puts them; None where not installed."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep)]
    folders += [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    path = os.pathsep.join(folders)
    found = shutil.which("initdb", path=path), shutil.which("postgres", path=path)
    return found if all(found) else None


def other_user() -> dict:
    """Whom to run it as: the server refuses root."""
    if os.getuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("root, and neither a user postgres nor nobody")


@contextmanager
def run_server() -> Iterator[str]:
    """The address of an empty database, until the end of the block."""
    initdb, postgres = find_programs()
    user = other_user()
    # Not pytest's own folder: others may not look into it. A socket's path must be short, too.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if user:
        os.chown(folder, user["user"], user["group"])
    options = {"cwd": folder, **user}
    try:
        subprocess.run(
            [initdb, "-D", folder / "data", "-U", "loans", "-A", "trust", "-N", "-E", "UTF8"],
            check=True,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            **options,
        )
        command = [postgres, "-D", folder / "data", "-k", folder, "-c", "listen_addresses="]
        with (folder.parent / f"{folder.name}.log").open("wb") as log:
            server = subprocess.Popen([*command, "-F"], stdout=log, stderr=log, **options)
        try:
            address = f"postgresql:///postgres?host={folder}&user=loans"
            wait_for(address, server)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def wait_for(address: str, server: subprocess.Popen) -> None:
    from adbc_driver_postgresql import dbapi

    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            dbapi.connect(address).close()
            return
        except dbapi.Error:
            time.sleep(0.1)
    raise TimeoutError("the server does not answer")
