"""The certificate of every solver against 60 digits on random problems: `python tests/fuzz.py`.

Each problem is solved by all solvers that know it. What a certificate says, at the end and at the
points on the way, is held against the exact optimum: the excess of F must be at most the gap, and
the distance in the norm of the Hessian at most rho. One number too small is a failure.
"""

import argparse
import math
import os
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from exact import Exact, sqrt

from onelayer.blocks import Block
from onelayer.certificate import Certificate
from onelayer.coordinates import measure_columns, shift_rows
from onelayer.features.dense import DenseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import direct, gram, newton, newton_cg, sampled_newton, second_order

DISTANCES = (2e-6, 1e-4, 5e-3, 0.1)
REPEATS = 60  # of each row, so that a sample of the rows is worth drawing
TIGHT = (1e-6, 1e-2)  # the rho of points whose tightness is measured


@dataclass(frozen=True)
class Problem:
    """Rows X (n, p), labels (outputs, n) of 0/1 or (1, n) of class numbers, weights s (n,)."""

    seed: int
    X: np.ndarray
    labels: np.ndarray
    s: np.ndarray
    C: float
    fit_intercept: bool
    classes: int = 2
    l1_ratio: float = 0.0

    def exact(self) -> list[Exact]:
        """One exact problem for each group of outputs."""
        theirs = self.s, self.C, self.fit_intercept, self.l1_ratio
        return [Exact(self.X, y, *theirs) for y in self.labels]

    @property
    def loss(self):
        return SigmoidLoss(len(self.labels)) if self.classes == 2 else SoftmaxLoss(self.classes)

    def rows(self, repeats: int = 1) -> MemoryRows:
        """The rows, each several times over with its share of the weight."""
        X, labels = np.repeat(self.X, repeats, axis=0), np.repeat(self.labels, repeats, axis=1)
        s = np.repeat(self.s / repeats, repeats)
        return MemoryRows(Block(DenseFeatures(X), labels.astype(np.float64), s), 1)


@dataclass
class Claim:
    """What a certificate said of the parameters W (outputs, p) and b (outputs, 1)."""

    solver: str
    W: np.ndarray
    b: np.ndarray
    gap: float
    rho: float
    at_end: bool


@dataclass
class Tally:
    """Claims by solver; those that were wrong; gap over excess; solutions without a claim."""

    claims: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    ratios: dict = field(default_factory=lambda: defaultdict(list))
    unproved: Counter = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.claims.update(other.claims)
        self.unproved.update(other.unproved)
        self.wrong += other.wrong
        for solver, ratios in other.ratios.items():
            self.ratios[solver] += ratios


def random_problem(seed: int) -> Problem:
    """A small problem: wide, duplicated, unbalanced, weighted; two or three classes, or labels."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(4, 24)), int(rng.integers(1, 5))
    if seed % 9 == 4:
        n, p = int(rng.integers(4, 8)), int(rng.integers(8, 12))
    classes = 3 if seed % 5 == 0 else 2
    X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    if seed % 3 == 0:
        X = X + rng.standard_normal(p) * 10.0 ** rng.uniform(-1, 4)
    free = seed % 11 == 10 and n > p  # without a penalty
    if seed % 7 == 0 and p > 1 and not free:
        X[:, -1] = X[:, 0]
    outputs = 3 if seed % 8 == 6 and classes == 2 else 1
    labels = rng.integers(0, classes, (outputs, n))
    labels[:, :classes] = np.arange(classes)
    s = rng.integers(0, 4, n).astype(float) if seed % 4 == 0 else rng.uniform(0.1, 3, n)
    s[:classes] = 1
    C = np.inf if free else float(10.0 ** rng.uniform(-3, 3))
    if free:  # each row with every answer: no separation
        X, s = np.repeat(X, classes, axis=0), rng.uniform(0.1, 3, n * classes)
        labels = np.stack([np.tile(np.arange(classes), n)] * outputs)
    return Problem(seed, X, labels, s, C, seed % 6 != 1, classes)


def to_objective(problem: Problem) -> Objective:
    rows = problem.rows()
    rows, where = shift_rows(rows, measure_columns(rows, problem.fit_intercept))
    return Objective(rows, problem.loss, problem.C, where)


def claims_of(problem: Problem, objective: Objective, distances=DISTANCES):
    """Every claim of every solver that knows the problem."""
    ends = {tol: newton.solve(objective, tol) for tol in (1e-2, 1e-4)}
    yield from (_end("newton", found) for found in ends.values())
    yield from _walk("newton", newton.NEWTON, objective)
    yield from (_end("newton_cg", newton_cg.solve(objective, tol)) for tol in (1e-2, 1e-4))
    if gram.is_available(objective):
        yield from (_end("gram", gram.solve(objective, tol)) for tol in (1e-2, 1e-4))
    yield from _claims_of_sampled(problem)
    if problem.loss == SigmoidLoss(1):
        yield from _claims_of_direct(problem)
    yield from _around(
        objective, ends[1e-4], np.random.default_rng(10_000 + problem.seed), distances
    )


def lasso_claims_of(problem: Problem):
    """The claims of the solver for an L1 penalty."""
    theirs = {"C": problem.C, "fit_intercept": problem.fit_intercept, "l1_ratio": problem.l1_ratio}
    for tol in (1e-2, 1e-4):
        yield _end("proximal", fit(problem.rows(), problem.loss, tol=tol, **theirs))


def _end(solver, found):
    c = found.certificate
    return Claim(solver, found.W, found.b, c.gap, c.rho, True)


def _point(solver, objective, theta, points):
    """A claim about a point on the way: gaps add, rho in squares."""
    gap, rho = sum(p.gap for p in points), math.sqrt(sum(p.rho**2 for p in points))
    return Claim(solver, *objective.where.to_parameters(theta), gap, rho, False)


def _walk(solver, method, objective):
    state = second_order.init(method, objective, 1e-9, objective.start())
    while not all(state.status):
        yield _point(solver, objective, state.theta, state.points)
        state = second_order.step(method, objective, state, 1e-9)
    yield _point(solver, objective, state.theta, state.points)


def _claims_of_sampled(problem):
    rows, theirs = problem.rows(REPEATS), (problem.loss, problem.C, problem.fit_intercept)
    for tol in (1e-2, 1e-4):
        found = sampled_newton.solve(rows, *theirs, tol)
        if found is not None and found.status == "optimal":
            yield _end("sampled", found)


def _claims_of_direct(problem):
    held = problem.s > 0
    kept = replace(problem, X=problem.X[held], labels=problem.labels[:, held], s=problem.s[held])
    for tol in (1e-2, 1e-4, 1e-8):
        found = direct.solve(kept.rows(), problem.C, problem.fit_intercept, tol)
        if found is not None:
            yield _end("direct", found)
    yield from _walk_directly(kept)


def _walk_directly(problem):
    """The points on the way of the short way for small tables."""
    with np.errstate(all="ignore"):
        table = direct.standardise(problem.rows(), problem.C, problem.fit_intercept, 1e-4)
        if table is None:
            return
        point = direct.measure(table, direct.start_at(table, problem.fit_intercept, None))
        for _ in range(20):
            if point is None:
                return
            yield _claim_directly(problem, table, point.theta, point.gap, point.rho)
            if point.rho < math.inf and not point.drift:
                near = direct.follow(table, point, point.theta - point.direction)
                yield _claim_directly(problem, table, near.theta, near.gap, near.rho)
                yield from (_claim_end(problem, table, each) for each in (point, near))
            point = direct.step(table, point)


def _claim_end(problem, table, point):
    end = direct.look_ahead(point)
    # Proved in the norm of the Hessian where the step began, judged in that at its end.
    rho = end.rho * math.exp(point.m * point.rho) if end.rho <= point.rho else math.inf
    gap = end.gap if rho < math.inf else math.inf
    return _claim_directly(problem, table, point.theta - point.direction, gap, rho)


def _claim_directly(problem, table, theta, gap, rho):
    W, b = direct.to_parameters(table, theta, problem.fit_intercept)
    return Claim("direct", W, b, gap, rho, False)


def _around(objective, found, rng, distances):
    """Points at random around the optimum, certified by `newton.certify`."""
    centre = objective.where.from_parameters(found.W, found.b)
    hessians = objective.evaluate(centre, hessian=True).hessian
    frozen = np.tile(objective.where.frozen, (objective.n_outputs, 1))
    for distance in distances:
        move = np.where(frozen, 0, rng.standard_normal(centre.shape))
        flat = move.reshape(objective.groups, -1)
        length = math.sqrt(sum(v @ H @ v for v, H in zip(flat, hessians)))
        theta = centre + move * (distance / length)
        c: Certificate = newton.certify(objective, theta)
        W, b = objective.where.to_parameters(theta)
        yield Claim("certify", W, b, c.gap, c.rho, False)


def check(seed: int, distances=DISTANCES) -> Tally:
    """All claims about one problem, and about the same with an L1 penalty."""
    tally, problem = Tally(), random_problem(seed)
    with single_threaded_blas():
        judge(tally, problem, list(claims_of(problem, to_objective(problem), distances)))
        if np.isfinite(problem.C):
            both = seed % 2 == 1 or seed % 7 == 0  # equal columns share a weight only under L2
            cornered = replace(problem, l1_ratio=0.5 if both else 1.0)
            judge(tally, cornered, list(lasso_claims_of(cornered)))
    return tally


def judge(tally: Tally, problem: Problem, claims: list[Claim]) -> None:
    """Hold each claim against the exact optimum."""
    exact = problem.exact()
    best = min((c for c in claims if c.at_end), key=lambda claim: claim.gap)
    optima = [e.optimum(theta)[0] for e, theta in zip(exact, _pack(exact, best))]
    least = [e.value(theta) for e, theta in zip(exact, optima)]
    for claim in claims:
        tally.claims[claim.solver] += claim.gap < math.inf
        tally.unproved[claim.solver] += claim.at_end and not claim.gap < math.inf
        if not claim.gap < math.inf:
            continue
        points = _pack(exact, claim)
        excess = sum(e.value(theta) - low for e, theta, low in zip(exact, points, least))
        distance = sqrt(sum(_square(e, t, o) for e, t, o in zip(exact, points, optima)))
        if not (excess <= claim.gap and distance <= claim.rho):
            tally.wrong.append((problem.seed, claim, float(excess), float(distance)))
        if TIGHT[0] <= claim.rho <= TIGHT[1] and excess > 0:
            tally.ratios[claim.solver].append(float(claim.gap / excess))


def _pack(exact, claim):
    """The claim's parameters for each exact problem: its own output, or all classes."""
    if len(exact) == 1:
        return [exact[0].pack(claim.W, claim.b)]
    return [e.pack(claim.W[k : k + 1], claim.b[k : k + 1]) for k, e in enumerate(exact)]


def _square(exact, theta, optimum):
    """The squared distance in the norm of the Hessian at theta."""
    away = (theta - optimum).ravel()
    return away @ exact.slopes(theta)[1] @ away


def main() -> int:
    """Check many problems on all cores; 1 where a certificate claims too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1200)
    parser.add_argument("--first", type=int, default=0, help="the first problem's number")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    began, tally = time.perf_counter(), Tally()
    seeds = range(options.first, options.first + options.problems)
    with ProcessPoolExecutor(options.jobs) as pool:
        for part in pool.map(check, seeds, chunksize=10):
            tally.add(part)
    for solver, count in sorted(tally.claims.items()):
        ratio = np.median(tally.ratios[solver]) if tally.ratios[solver] else math.nan
        left = tally.unproved[solver]
        print(
            f"{solver:12} {count:6} claims, median gap / excess {ratio:8.4f}, {left} ends unproved"
        )
    for seed, claim, excess, distance in tally.wrong:
        print(f"WRONG: problem {seed}, {claim}, excess {excess}, distance {distance}")
    seconds = time.perf_counter() - began
    total = sum(tally.claims.values())
    print(f"{options.problems} problems, {total} claims, {len(tally.wrong)} wrong, {seconds:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
