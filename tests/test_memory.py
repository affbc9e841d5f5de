"""A fit of a tall table takes little beside it: the table is never copied, in any layout."""

import json
import sys
from pathlib import Path

import memory
import pytest
from fresh import run_python

MIB = 2**20
LAYOUTS = ("dense", "float32", "fortran", "csr")
LIMIT, SHARE = 32 * MIB, 0.05  # bytes, and of the table: whichever is more

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the high water mark is read from /proc"
)


def measure(layout: str, size: float, **options) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(memory.__file__).parent)!r})
import memory
memory.main({layout!r}, {size}, {options!r})
"""
    held, over, status, kind = json.loads(run_python(code, timeout=300))
    assert status == "optimal"
    assert kind in ("sampled", "duality")
    assert over <= max(LIMIT, SHARE * held), f"{over / MIB:.0f} MiB over {held / MIB:.0f}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tall_table_is_fitted_where_it_lies(layout):
    measure(layout, 72)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"l1_ratio": 1.0, "C": 0.01}, {"classes": 7}], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_table_of_251_mb(layout, options):
    """581,012 x 54 in float64."""
    measure(layout, 239.4, **options)
