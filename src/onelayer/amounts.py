"""Amounts of memory as people write them."""

import os
import re

from onelayer.errors import InputError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
SHARE = 4  # of the machine's memory, where none is said


def read_memory(amount: int | str | None) -> int:
    """Bytes from a number or a text such as "500MB" or "1.5 GiB"; None for a part of the machine's.

    Raises
    ------
    InputError: it is no such text, or not above 0.

    >>> read_memory("500MB"), read_memory("1.5 GiB"), read_memory(2_000_000)
    (500000000, 1610612736, 2000000)
    """
    if amount is None:
        return _machine_memory() // SHARE
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([KMGT]?i?B?)\s*", str(amount), re.IGNORECASE)
    unit = found[2].upper() if found else ""
    unit += "B" if unit in ("K", "M", "G", "T", "KI", "MI", "GI", "TI") else ""
    if found is None or unit not in UNITS or not float(found[1]) > 0:
        raise InputError(f"memory is {str(amount)!r}: expected an amount such as 500MB or 2GiB")
    return int(float(found[1]) * UNITS[unit])


def _machine_memory() -> int:
    if hasattr(os, "sysconf"):
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return 4 * 2**30  # where the system does not say, what any machine has
