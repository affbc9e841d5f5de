"""The table and the plot of `docs/performance.md`, from the files of results."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.bigger.command import read_results
from benchmarks.race import plot
from benchmarks.race.duels import LEVELS, Duel, gather, say_seconds
from benchmarks.race.results import Report

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "performance.md", DOCS / "performance.svg"
BEGIN, END = "<!-- race: drawn by `python -m benchmarks draw` -->", "<!-- race: end -->"
BIGGER_BEGIN = "<!-- bigger: drawn by `python -m benchmarks draw` -->"
BIGGER_END = "<!-- bigger: end -->"
SCAN = "polars scan and sum"
BIGGER_HEAD = (
    "| | time | times the scan | of all cores | times | peak memory | log loss, held out |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)
HEAD = (
    "| table | onelayer | best other to 1e-6 | | best other to 1e-9 | | aim | passes | memory |\n"
    "| --- | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |"
)


def draw(folder: Path) -> None:
    """Draw all that lies in the folder into the page and its picture."""
    duels = gather(folder)
    if not duels:
        raise SystemExit(f"{folder} holds no results: run `python -m benchmarks race` first")
    page = PAGE.read_text(encoding="utf-8")
    page = _put(page, BEGIN, END, write_table(duels))
    page = _put(page, BIGGER_BEGIN, BIGGER_END, write_bigger(folder / "bigger"))
    PAGE.write_text(page, encoding="utf-8")
    PICTURE.write_text(plot.draw(duels), encoding="utf-8")


def _put(page: str, begin: str, end: str, content: str) -> str:
    """The page with the content between two marks."""
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{PAGE} lacks the marks {begin} and {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def write_bigger(folder: Path) -> str:
    """A Markdown table for each number of rows that lies there."""
    out: list[str] = []
    for path in sorted(folder.glob("*.csv"), key=lambda path: int(path.stem)):
        lines = read_results(path)
        scan = lines.get(SCAN, {})
        out += [f"**{int(path.stem):,} rows**", "", BIGGER_HEAD]
        out += [_tell_way(line, scan) for line in lines.values()]
        ours = lines.get("onelayer", {})
        if each := ours.get("pass_seconds"):
            times = float(each) / float(scan.get("seconds") or "nan")
            out += ["", f"onelayer: one pass {float(each):.1f} s, {times:.1f}x; "]
            out[-1] += f"{ours['note']}. {ours['cores']}, {ours['date']}."
        out.append("")
    return "\n".join(out)


def _tell_way(line: dict[str, str], scan: dict[str, str]) -> str:
    if not line["seconds"]:
        return f"| {line['way']} | {line['note']} | | | | | |"
    cells, loss = [line["way"]], line["log_loss"]
    for name in ("seconds", "cpu_seconds"):
        seconds, floor = float(line[name] or "nan"), float(scan.get(name) or "nan")
        cells += [f"{seconds:.3g} s", f"{seconds / floor:.3g}x"]
    cells.append(f"{float(line['peak_mb']):.0f} MB" if line["peak_mb"] else "")
    return "| " + " | ".join([*cells, f"{float(loss):.5f}" if loss else ""]) + " |"


def write_table(duels: Sequence[Duel]) -> str:
    """A Markdown table for each kind, the machines they ran on, and the picture."""
    out = [f"![Time to 1e-9 of the optimum, onelayer and the best other]({PICTURE.name})", ""]
    for kind in dict.fromkeys(duel.report.facts["kind"] for duel in duels):
        rows = [_row(duel) for duel in duels if duel.report.facts["kind"] == kind]
        out += [f"**{kind[0].upper()}{kind[1:]}**", "", HEAD, *rows, ""]
    machines = dict.fromkeys(_machine(duel.report) for duel in duels)
    return "\n".join([*out, *(f"Measured on {machine}." for machine in machines), ""])


def _row(duel: Duel) -> str:
    cells = [f"{duel.name}, {duel.report.facts['table']}", say_seconds(duel.own)]
    for level in LEVELS:
        other, ratio = duel.others[level], duel.ratio(level)
        mark = "*" if other is not None and other.bias != "free" else ""
        cells.append("none" if other is None else f"{other.solver}{mark} {say_seconds(other)}")
        cells.append("" if ratio is None else f"{ratio:.2g}x" if ratio < 10 else f"{ratio:.0f}x")
    passes = "" if duel.own.passes is None else str(duel.own.passes)
    memory = "" if duel.own.memory_mb is None else f"{duel.own.memory_mb:.0f} MB"
    return "| " + " | ".join([*cells, f"{duel.aim:g}x", passes, memory]) + " |"


def _machine(report: Report) -> str:
    facts = report.facts
    parts = [facts["cpu"], f"{facts['cores']} cores", f"Python {facts['python']}"]
    parts += [f"NumPy {facts['numpy']}", f"SciPy {facts['scipy']}", facts["date"]]
    return ", ".join(parts)
