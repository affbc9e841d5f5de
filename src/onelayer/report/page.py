"""The whole page, from a model and what was found of a table."""

import base64
import hashlib
import json
from typing import Any

import numpy as np

from onelayer import __version__
from onelayer.judging.evaluate import Evaluation
from onelayer.markup import read_asset, render
from onelayer.markup.network import draw_network
from onelayer.model import Model
from onelayer.report.columns import list_columns
from onelayer.report.cuts import list_cuts
from onelayer.report.examples import choose_examples
from onelayer.report.history import draw_history
from onelayer.report.judgement import Judgement
from onelayer.report.moves import draw_moves, measure_pushes
from onelayer.report.rows import pack_rows
from onelayer.report.scorer import describe_scorer
from onelayer.report.sigmoid import draw_sigmoid
from onelayer.report.survey import Survey
from onelayer.report.threshold import draw_choice, find_costs, say_choice
from onelayer.report.weights import Weight, draw_forest, list_weights

SCRIPTS = ("read", "moments", "score", "show", "threshold", "reasons", "panel", "map", "page")
MOST_COLUMNS = 200  # of the table of columns
MOST_MOVED = 12  # of the columns that moved most
CONTENTS = {
    "short": "In short",
    "quality": "Is it good",
    "threshold": "Where to cut",
    "groups": "Groups",
    "drift": "Has the table moved",
    "reasons": "What moves decisions",
    "whatif": "What if",
    "network": "The network",
    "weights": "The weights",
    "learning": "Learning, and its proof",
    "data": "The data",
    "about": "How it was made",
}


def build_page(model: Model, source: str, judged: Judgement, survey: Survey, most_rows: int) -> str:
    """Return the page as HTML.

    Args:
        model: What it is about.
        source: The name of the table.
        judged: How good the model is.
        survey: What a pass over the table found; its sample has rows.
        most_rows: How many of the sample's rows go into the page.
    """
    style = read_asset("style.css") + read_asset("page.css")
    script = _join_scripts()
    pushes = measure_pushes(model, survey.sample)
    sample = survey.sample.first(most_rows) if most_rows else None
    rows = pack_rows(model, sample)
    found = judged.found
    # Rows held out come from the same table: that they have not moved is no news.
    drift = None if found is None or found is model.evaluation else found.drift
    cuts = None if found is None else list_cuts(found)
    return render(
        "page.html.jinja",
        policy=_write_policy(style, script),
        style=style,
        script=script,
        contents=_choose_contents(found, cuts is not None, drift is not None),
        source=source,
        judged=judged,
        found=found,
        quality=[] if found is None else found.draw_curves(model.positive),
        cuts=cuts,
        drift=drift,
        reasons=draw_moves(pushes, model.positive),
        examples=choose_examples(model, survey.sample) if most_rows else [],
        rows_count=len(rows["numbers"]),
        rows_held=0 if sample is None else len(rows["numbers"]),
        sigmoid=_draw_sigmoid(model, survey),
        data=_write_data(model, source, rows, cuts, pushes),
        **_describe_model(model),
    )


def _describe_model(model: Model) -> dict[str, Any]:
    """What the page says of a model whatever the table."""
    weights, (used, aside) = list_weights(model), list_columns(model)
    return {
        "version": __version__,
        "model": model,
        "chosen": say_choice(model),
        "choice": draw_choice(model),
        "costs": find_costs(model),
        "network": _draw_network(model, weights),
        "forest": draw_forest(weights),
        "history": draw_history(model),
        "used": used,
        "aside": aside,
        "most_columns": MOST_COLUMNS,
        "most_moved": MOST_MOVED,
    }


def _join_scripts() -> str:
    parts = "\n".join(read_asset(f"script/{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _write_policy(style: str, script: str) -> str:
    """Nothing may be loaded, and nothing run or styled but what stands here, told by its hash."""
    styles, scripts = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{scripts}'; style-src 'sha256-{styles}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _choose_contents(
    found: Evaluation | None, cuttable: bool, moved: bool
) -> list[tuple[str, str]]:
    absent = set() if found is not None else {"quality", "groups"}
    absent |= set() if cuttable else {"threshold"}
    absent |= set() if found is not None and found.groups else {"groups"}
    absent |= set() if moved else {"drift"}
    return [(name, title) for name, title in CONTENTS.items() if name not in absent]


def _draw_network(model: Model, weights: list[Weight]) -> Any:
    names, strengths = zip(*((each.name, each.spread) for each in weights))
    return draw_network(names, strengths, float(model.b[0, 0]), model.positive, model.threshold)


def _draw_sigmoid(model: Model, survey: Survey) -> Any:
    if not len(survey.logits):
        return None
    names = (model.negative, model.positive)
    return draw_sigmoid(survey.logits, survey.labels, names, model.threshold)


def _write_data(
    model: Model, source: str, rows: dict[str, Any], cuts: Any, pushes: dict[str, Any]
) -> str:
    scorer = describe_scorer(model, ())
    for column in scorer["columns"]:
        column["moves"] = float(np.abs(pushes[column["name"]]).mean())
    return to_script_data({"source": source, "model": scorer, "rows": rows, "cuts": cuts})


_UNSAFE = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def to_script_data(document: dict[str, Any]) -> str:
    """JSON that no parser of HTML can take for anything else, whatever texts it holds.

    >>> to_script_data({"name": "</script>"})
    '{"name":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_UNSAFE)
