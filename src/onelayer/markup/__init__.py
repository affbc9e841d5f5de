"""Values to HTML: the one door to jinja2, with the templates, styles and scripts of every page.

It is a low room, so that a value can show itself in a notebook by the templates that the report is
made of. Nothing here knows what a model is: dataclasses and plain values come in.
"""

import math
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

from onelayer.markup import words

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """Fill a template of `markup/templates`.

    Every value is escaped, whatever it is; a value that a template names and did not get is an
    error. Text from a table goes through the filter `shown`, which also makes control characters
    and marks of direction visible.

    >>> render("value.html.jinja", text="<b>" + chr(0x202E))
    '<bdi>&lt;b&gt;\\\\u202e</bdi>'
    """
    return _environment().get_template(template).render(**values)


def name_fragment(value: object) -> str:
    """The beginning of all names in a fragment: another one for another value, for pages of many.

    >>> name_fragment(1.5) == name_fragment(1.5), name_fragment(1.5) == name_fragment(2.5)
    (True, False)
    """
    return f"n{zlib.crc32(repr(value).encode()):08x}-"


def read_asset(name: str) -> str:
    """The text of a style sheet or script of this folder, by its path."""
    from importlib.resources import files

    return files(__name__).joinpath(name).read_text("utf-8")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: read_asset(f"templates/{name}")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {each.__name__: each for each in words.FILTERS}
    environment.tests["finite"] = math.isfinite
    environment.globals["measure_names"] = words.MEASURES
    environment.globals["style"] = read_asset("style.css")
    return environment
