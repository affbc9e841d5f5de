"""The options of a training: read, checked, and refused where they contradict each other."""

import math
from collections.abc import Sequence
from typing import Any

import click

from onelayer.cli.options import Command, list_option, table_options
from onelayer.cli.sources import memory_option
from onelayer.errors import InputError

GRADIENT_DESCENT = "gradient_descent"
SOLVERS = ("auto", "newton", "newton_cg", "gram", GRADIENT_DESCENT)
OPTIMIZERS = ("gd", "momentum", "adam")


def training_options(command: Command) -> Command:
    """Every option that says what to learn and how; `settle_options` checks them together."""
    options = (
        *_options_of_columns(),
        table_options,
        *_options_of_rows(),
        *_options_of_fit(),
        *_options_of_descent(),
        *_options_of_threshold(),
        *_options_of_long_tables(),
    )
    for decorate in reversed(options):
        command = decorate(command)
    return command


def _options_of_columns() -> list[Any]:
    return [
        click.option("--target", required=True, metavar="COL", help="The column to learn."),
        click.option("--positive", metavar="V", help="The value of the target that is 1."),
        list_option("--drop", "Columns to leave out."),
        list_option("--keep", "Columns to use even if they look like an identifier or a leak."),
        list_option("--protected", "Columns never to learn from, kept for audits."),
        click.option("--weight", metavar="COL", help="The column of row weights."),
        click.option(
            "--weight-kind",
            metavar="KIND",
            callback=_read_weight_kind,
            help="frequency (2 is the row twice) or sampling (survey).  [default: frequency]",
        ),
        click.option(
            *("--as", "roles"),
            multiple=True,
            metavar="COL=ROLE",
            callback=_read_roles,
            help="Take a column as numeric, categorical, text, date or drop.",
        ),
    ]


def _options_of_rows() -> list[Any]:
    return [
        click.option(
            "--holdout",
            metavar="SHARE",
            callback=_read_share,
            help="Share of the rows to judge on; 0 for none.  [default: 0.2]",
        ),
        click.option(
            "--class-weight",
            metavar="WEIGHTS",
            callback=_read_class_weight,
            help="balanced, or a weight for values, such as yes=5; probabilities are put right.",
        ),
        click.option(
            "--base-rate",
            metavar="SHARE",
            callback=_read_share_of_rows,
            help="Share of yes among the rows to come, if TABLE was resampled.",
        ),
        click.option("--test", metavar="TABLE", help="Judge on this table; no rows are held out."),
        click.option(
            "--seed",
            metavar="N",
            callback=_read_whole,
            help="Of the draw of the holdout.  [default: 0]",
        ),
    ]


def _options_of_fit() -> list[Any]:
    return [
        click.option(
            *("--C", "C"),
            metavar="C",
            callback=_read_positive,
            help="Inverse strength of the penalty; inf for none; auto to choose.  [default: 1.0]",
        ),
        click.option(
            "--l1-ratio",
            metavar="SHARE",
            callback=_read_ratio,
            help="Share of L1 in the penalty, 0 to 1.  [default: 0.0]",
        ),
        click.option(
            "--solver",
            default="auto",
            metavar="NAME",
            callback=_read_solver,
            help=f"One of {', '.join(SOLVERS)}.  [default: auto]",
        ),
        click.option(
            "--tol",
            metavar="RHO",
            callback=_read_positive,
            help="Largest distance from the optimum, in standard errors.  [default: 0.0001]",
        ),
    ]


def _options_of_descent() -> list[Any]:
    return [
        click.option(
            "--learning-rate",
            metavar="RATE",
            callback=_read_positive,
            help="Of gradient descent: a number, or safe.  [default: 1.2]",
        ),
        click.option(
            "--num-iterations",
            metavar="N",
            callback=_read_whole,
            help="Of gradient descent.  [default: 10]",
        ),
        click.option(
            "--optimizer",
            metavar="NAME",
            callback=_read_optimizer,
            help=f"Of gradient descent: one of {', '.join(OPTIMIZERS)}.  [default: gd]",
        ),
        click.option(
            "--batch-size",
            metavar="N",
            callback=_read_whole,
            help="Of gradient descent: rows a step; all of them if not said.",
        ),
    ]


def _options_of_threshold() -> list[Any]:
    return [
        click.option(
            "--threshold",
            metavar="P",
            callback=_read_share_of_rows,
            help="Say yes above this probability.  [default: 0.5]",
        ),
        *(
            click.option(flag, metavar="COST", help=f"Choose it by costs: {what}, or a column.")
            for flag, what in (
                ("--cost-fp", "of a wrong yes"),
                ("--cost-fn", "of a wrong no"),
                ("--cost-tp", "of a right yes"),
                ("--cost-tn", "of a right no"),
            )
        ),
        click.option(
            "--accept",
            metavar="SHARE",
            callback=_read_share_of_rows,
            help="Choose it to say yes to so many rows, such as 30%.",
        ),
        click.option(
            "--min-precision",
            metavar="SHARE",
            callback=_read_share_of_rows,
            help="Choose it for at least so many right among the yes.",
        ),
        click.option(
            "--max-fpr",
            metavar="SHARE",
            callback=_read_share_of_rows,
            help="Choose it for at most so many yes among the no.",
        ),
    ]


def _options_of_long_tables() -> list[Any]:
    return [
        click.option("--query", metavar="SELECT", help="What to ask a database, for a table."),
        memory_option,
        click.option("--cache", metavar="DIR", help="Where encoded rows of a long table lie."),
        click.option("--no-cache", is_flag=True, help="Encode a long table in every pass."),
        click.option("--resume", is_flag=True, help="Go on from what a killed training left."),
        click.option(
            "--cluster",
            metavar="ADDRESS",
            help="Dask workers that read the table: tcp://HOST:8786, or local:4 to start four.",
        ),
    ]


def _read_roles(context: object, option: object, given: Sequence[str]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for pair in given:
        column, equals, role = pair.rpartition("=")
        if not equals or not column:
            raise InputError(f"--as {pair}: give a column and its role as --as COL=ROLE")
        if roles.setdefault(column, role) != role:
            raise InputError(f"--as gives column {column!r} two roles, {roles[column]} and {role}")
    return roles


def _read_optimizer(context: object, option: object, given: str | None) -> str | None:
    if given is not None and given.lower() not in OPTIMIZERS:
        expected = ", ".join(OPTIMIZERS)
        raise InputError(f"--optimizer {given}: no such optimizer; use one of {expected}")
    return given if given is None else given.lower()


def _read_weight_kind(context: object, option: object, given: str | None) -> str | None:
    if given not in (None, "frequency", "sampling"):
        raise InputError(f"--weight-kind {given}: frequency or sampling is expected")
    return given


def _read_solver(context: object, option: object, given: str) -> str:
    solver = given.replace("-", "_").lower()
    if solver not in SOLVERS:
        raise InputError(f"--solver {given}: no such solver; use one of {', '.join(SOLVERS)}")
    return solver


_WORDS: dict[str, dict[str, float | str]] = {
    "--C": {"inf": math.inf, "auto": "auto"},
    "--learning-rate": {"safe": "safe"},
}


def _read_positive(
    context: object, option: click.Parameter, given: str | None
) -> float | str | None:
    """A finite number above 0, or one of the words that the option knows."""
    flag = option.opts[-1]
    words = _WORDS.get(flag, {})
    if given is None or given in words:
        return given if given is None else words[given]
    number = _to_number(given)
    if not 0 < number < math.inf:
        expected = " or ".join(["a number above 0", *words])
        raise InputError(f"{flag} {given}: {expected} is expected")
    return number


_LEAST = {"--seed": 0, "--num-iterations": 1, "--batch-size": 1}
_MOST = 2**32 - 1  # of NumPy's seeds


def _read_whole(context: object, option: click.Parameter, given: str | None) -> int | None:
    if given is None:
        return None
    flag = option.opts[-1]
    try:
        number = int(given)
    except ValueError:
        number = -1
    if not _LEAST[flag] <= number <= _MOST:
        raise InputError(
            f"{flag} {given}: a whole number from {_LEAST[flag]} to {_MOST} is expected"
        )
    return number


def _read_share(context: object, option: object, given: str | None) -> float | None:
    share = None if given is None else _to_number(given)
    if share is not None and not 0 <= share < 1:
        raise InputError(f"--holdout {given}: a share from 0 to below 1 is expected")
    return share


def _read_class_weight(context: object, option: object, given: str | None) -> Any:
    """The word balanced, or VALUE=WEIGHT,VALUE=WEIGHT."""
    if given is None or given == "balanced":
        return given
    weights = {}
    for pair in given.split(","):
        value, equals, weight = pair.rpartition("=")
        number = _to_number(weight)
        if not equals or not 0 < number < math.inf:
            raise InputError(
                f"--class-weight {given}: balanced, or values with weights above 0, such as "
                "yes=5,no=1, are expected"
            )
        weights[value] = number
    return weights


def _read_share_of_rows(context: object, option: click.Parameter, given: str | None) -> Any:
    """A share as 0.3 or 30%."""
    if given is None:
        return None
    number = _to_number(given[:-1]) / 100 if given.endswith("%") else _to_number(given)
    if not 0 <= number <= 1:
        raise InputError(f"{option.opts[-1]} {given}: a share such as 0.3 or 30% is expected")
    return number


def _settle_threshold(given: dict[str, Any]) -> None:
    """Put the one wish in the place of the options that say it."""
    names = ("cost_fp", "cost_fn", "cost_tp", "cost_tn", "accept", "min_precision", "max_fpr")
    wishes = {name: given.pop(name) for name in names if name in given}
    if not wishes:
        return
    kinds = dict.fromkeys(
        "costs" if name.startswith("cost") else f"--{name.replace('_', '-')}" for name in wishes
    )
    kinds |= {"--threshold": None} if "threshold" in given else {}
    if len(kinds) > 1:
        raise InputError(f"{' and '.join(kinds)} exclude each other: the threshold has one reason")
    for name in ("cost_fp", "cost_fn"):
        if "costs" in kinds and name not in wishes:
            raise InputError(f"--{name.replace('_', '-')} is missing: what that mistake costs")
    from onelayer.thresholds.choice import ThresholdRule

    costs = {name: _to_cost(wishes.pop(name)) for name in list(wishes) if "cost" in name}
    options: dict[str, Any] = {**costs, **wishes}
    given["threshold"] = ThresholdRule(**options)


def _to_cost(given: str) -> float | str:
    """A number, or the name of a column."""
    number = _to_number(given)
    return given if math.isnan(number) else number


def _read_ratio(context: object, option: object, given: str | None) -> float | None:
    share = None if given is None else _to_number(given)
    if share is not None and not 0 <= share <= 1:
        raise InputError(f"--l1-ratio {given}: a share from 0 (L2) to 1 (L1) is expected")
    return share


def _to_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def settle_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, so that the others keep the library's defaults.

    Raises:
        InputError: two options contradict each other, or one of them would be ignored.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "holdout" in given and "test" in given:
        raise InputError("--holdout and --test exclude each other: judge on one or the other")
    if "weight_kind" in given and "weight" not in given:
        raise InputError("--weight-kind is for rows with weights: add --weight COL")
    descends = given["solver"] == GRADIENT_DESCENT
    for name in ("learning_rate", "num_iterations", "optimizer", "batch_size"):
        if name in given and not descends:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} is for gradient descent: add --solver {GRADIENT_DESCENT}")
    if given.get("l1_ratio", 0) > 0 and given["solver"] != "auto":
        raise InputError(f"--solver {given['solver']} knows no L1 penalty: leave out --l1-ratio")
    if "tol" in given and descends:
        raise InputError("--tol is not for gradient descent, which stops after --num-iterations")
    _settle_threshold(given)
    if "cluster" in given:
        for name in ("memory", "no_cache", "resume"):
            if given.get(name):
                flag = f"--{name.replace('_', '-')}"
                raise InputError(f"--cluster and {flag} exclude each other: workers keep the rows")
    if given.pop("no_cache", False):
        for name in ("cache", "resume"):
            if given.get(name):
                raise InputError(f"--no-cache and --{name} exclude each other")
        given["cache"] = False
    return given
