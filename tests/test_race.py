"""The race: how a problem is judged, who counts as best, what is written, drawn and refused."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from benchmarks.race import command, contest, draw, plot, results
from benchmarks.race.child import Run
from benchmarks.race.duels import gather
from benchmarks.race.ours import SOLVERS
from benchmarks.race.problem import Codes, Facts, Problem, judge
from benchmarks.race.simulated import draw_classes, draw_codes, draw_normal
from benchmarks.race.tasks import QUICK, TASKS


@pytest.mark.parametrize("make", [lambda: draw_normal(300, 4), lambda: draw_classes(300, 4, 3)])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_a_fit_is_judged_by_the_objective_that_is_stated(make, kind):
    """Against scikit-learn's own log loss."""
    problem = make()
    model = LogisticRegression(C=2.0).fit(problem.X, problem.y)
    judged = Problem(kind(problem.X), problem.y, (2.0,))
    value = log_loss(problem.y, model.predict_proba(problem.X), normalize=False)
    expected = value + np.square(model.coef_).sum() / 4
    fits = [(model.coef_, model.intercept_)]
    assert judge(judged, fits, "free") == pytest.approx([expected], rel=1e-12)
    penalised = expected + np.square(model.intercept_).sum() / 4
    assert judge(judged, fits, "penalised") == pytest.approx([penalised], rel=1e-12)


def test_a_path_is_judged_at_each_of_its_strengths():
    problem = replace(draw_normal(50, 2), strengths=(1.0, 4.0), l1_ratio=1.0)
    nothing, something = (np.zeros((1, 2)), [0.0]), (np.array([[1.0, -1.0]]), [0.0])
    first, second = judge(problem, [nothing, nothing], "free")
    assert first == second == pytest.approx(50 * np.log(2))
    first, second = judge(problem, [something, something], "free")
    assert first - second == pytest.approx(2.0 * (1 - 1 / 4))


def test_codes_and_one_hot_columns_are_the_same_rows():
    coded = Codes(np.array([[2.5], [3.0]]), np.array([[0, 2], [1, 0]], np.int32), (2, 3))
    expected = [[2.5, 1, 0, 0, 0, 1], [3.0, 0, 1, 1, 0, 0]]
    assert coded.one_hot().toarray().tolist() == expected


def test_a_problem_comes_back_from_its_folder(tmp_path):
    for problem in (draw_normal(20, 3, single=True), draw_codes(20, (3, 2))):
        folder = tmp_path / str(len(problem.strengths) + (problem.codes is not None))
        folder.mkdir()
        problem.save(folder)
        found = Problem.load(folder)
        assert Facts.of(found) == Facts.of(problem)
        assert found.X.dtype == problem.X.dtype
        assert abs(found.X - problem.X).max() == 0


def enter(solver, excesses, seconds):
    """An entry whose runs lie so far above an optimum of 1."""
    entry = contest.Entry(solver)
    for k, (off, time) in enumerate(zip(excesses, seconds, strict=True)):
        entry.runs[k] = Run(seconds=time, calls=1, values=(1 + off,))
        entry.timings[k] = [time]
    return entry


def make_outcome(ours_off=1e-12, ours_seconds=1.0):
    own = replace(SOLVERS[-1], name="onelayer")
    peer = replace(
        own,
        name="peer",
        package="numpy",
        ours=False,
        ladder=({"tol": 1.0}, {"tol": 0.1}, {"tol": 0.01}),
        default={"tol": 0.1},
    )
    entries = (
        enter(own, [ours_off], [ours_seconds]),
        enter(peer, [1e-2, 1e-7, 1e-11], [1, 2, 4]),
    )
    task = next(task for task in TASKS if task.name == "small-1k-20")
    facts = Facts.of(draw_normal(10, 2))
    return contest.Outcome(
        task, facts, entries, {"free": (1.0,)}, {"free": "onelayer"}, 0.01, {"onelayer": 0.1}
    )


def test_the_loosest_setting_that_gets_there_counts():
    entry = make_outcome().entries[1]
    assert [entry.reach(level, (1.0,)) for level in contest.LEVELS] == [1, 1, 2]
    assert entry.reach(1e-12, (1.0,)) is None


def test_a_failed_run_reaches_nothing():
    assert contest.excess(Run(error="ValueError: no"), (1.0,)) == np.inf


def test_results_come_back_as_written(tmp_path):
    written = results.write(results.summarise(make_outcome()), tmp_path)
    text, found = written.read_text(encoding="utf-8"), results.read(written)
    assert results.write(found, tmp_path).read_text(encoding="utf-8") == text
    best = found.best("1e-09")
    assert best.solver == "peer"
    assert best.seconds == 4
    (own,) = found.own("1e-09")
    assert (own.products, own.gradients) == (100, 10)
    assert found.facts["checked, bias free"] == "peer within 1.0e-11"


def test_the_page_and_the_picture_show_who_was_sooner(tmp_path):
    results.write(results.summarise(make_outcome()), tmp_path)
    duels = gather(tmp_path)
    assert [duel.ratio(level) for duel in duels for level in ("1e-06", "1e-09")] == [2, 4]
    table = draw.write_table(duels)
    assert "| small-1k-20, 10 x 2 float64 | 1 s | peer 2 s | 2x | peer 4 s | 4x | 2x |" in table
    picture = ElementTree.fromstring(plot.draw(duels))
    words = [element.text for element in picture.iter() if element.tag.endswith("text")]
    assert "small-1k-20" in words
    assert "4x" in words


def test_the_page_holds_the_marks_between_which_it_is_drawn():
    page = draw.PAGE.read_text(encoding="utf-8")
    assert page.index(draw.BEGIN) < page.index(draw.END)


@pytest.mark.parametrize(
    ("off", "seconds", "word"), [(1e-8, 1.0, "off"), (1e-12, 17.0, "takes"), (1e-12, 15.0, "")]
)
def test_the_short_form_lets_no_inexact_and_no_slow_fit_pass(off, seconds, word):
    faults = command.find_faults(results.summarise(make_outcome(off, seconds)))
    assert len(faults) == bool(word)
    assert all(word in fault for fault in faults)


def test_a_table_that_is_not_there_is_named_with_its_package(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contest, "hold", lambda *arguments: pytest.fail("nothing is there"))
    parser = command.argparse.ArgumentParser()
    command.add_commands(parser.add_subparsers())
    arguments = parser.parse_args(["race", "--data", str(tmp_path), "--only", "flights"])
    arguments.run(arguments)
    out = capsys.readouterr().out
    assert "flights-3m.parquet is not there; it comes from npm vega-datasets" in out


def test_a_contest_finds_the_optimum_and_who_reaches_it():
    """Processes, ladder, rounds and all, on the smallest of the tables."""
    task = next(task for task in QUICK if task.name == "quick-small")
    contest.load_before_forks("benchmarks.race.preload")
    outcome = contest.hold(task, None, 1, ["scikit-learn newton-cholesky"])
    report = results.summarise(outcome)
    assert {line.solver for line in report.lines} == {"onelayer", "scikit-learn newton-cholesky"}
    assert report.best("1e-09") is not None
    assert all(line.excess <= 1e-9 for line in report.own(results.DEFAULT))
    problem = task.read(None)
    exact = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(problem.X, problem.y)
    (value,) = judge(problem, [(exact.coef_, exact.intercept_)], "free")
    assert outcome.optimum["free"][0] == pytest.approx(value, rel=1e-13)
