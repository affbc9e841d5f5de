"""How far a fit can at most be from the exact optimum, proved from what a pass has summed.

The logistic loss is generalised self-concordant: |loss'''| <= loss'' in the logit. With the Newton
decrement lambda^2 = g' H^-1 g and m >= the largest sqrt(x' H^-1 x) of a row (x with its 1), t =
lambda m below 1 gives, in closed form,

    rho = -log(1 - t) / m                      |theta - theta*|_H <= rho,
    gap = (t + (1 - t) log(1 - t)) / m^2       F(theta) - F(theta*) <= gap.

So every coefficient lies within rho standard errors of the exact one, and the log-odds of every row
within rho of its own standard errors. Source: F. Bach, Self-concordant analysis for logistic
regression, Electronic Journal of Statistics 4 (2010); the derivation stands in docs/mathematics.md.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.stored import Unbounded, find_outside

Array = NDArray[Any]

KINDS = ("factored", "sampled", "applied", "duality", "none")
GAINS = 0.9  # of a bound that is made smaller by what it proves: with less, it is left as it is
SMALLEST_RHO = 1e-10  # what float64 sums can tell; a smaller number would be a claim about noise


@dataclass(frozen=True)
class Certificate:
    """The proof that comes with a fit.

    Attributes
    ----------
    gap: F at the answer minus F at the exact optimum is at most this (in the units of F); inf
        where nothing is proved.
    rho: each coefficient is at most this many standard errors from the exact one; inf likewise.
    kind: "factored" (Hessian factored), "sampled" (that of some of the rows, which is no more),
        "applied" (Hessian only applied to vectors), "duality" (the gap alone, from a point of the
        dual problem; rho is inf) or "none".
    rounding: the part of `rho` that allows for float64 arithmetic.
    reason: where no distance is proved, why; else empty.

    >>> Certificate(gap=1e-12, rho=1e-6, kind="factored", rounding=1e-10).proved
    True
    """

    gap: Unbounded
    rho: Unbounded
    kind: str
    rounding: float
    reason: str = ""

    def problem(self) -> str | None:
        """Say what no certificate can be, or None; asked of what a model file holds."""
        if self.kind not in KINDS:
            return f"kind is {self.kind!r:.40}, expected one of {', '.join(KINDS)}"
        return find_outside(self, ("gap", "rho", "rounding"), 0, math.inf)

    @property
    def proved(self) -> bool:
        """Whether any distance from the optimum is proved, in the coefficients or in the cost."""
        return math.isfinite(self.gap)

    def sentence(self) -> str:
        """The certificate in plain words."""
        if not self.proved:
            return f"No distance from the exact optimum is proved: {self.reason}."
        if not math.isfinite(self.rho):
            return (
                f"Proved: the cost could fall by at most {self.gap:.1e} in total. No distance of "
                f"the coefficients is proved: {self.reason}."
            )
        return (
            f"Proved: every coefficient is within {self.rho:.1e} standard errors of the exact "
            f"optimum, and the cost could fall by at most {self.gap:.1e} in total."
        )


def no_certificate(reason: str) -> Certificate:
    """The certificate of an answer about which nothing is proved, with the reason."""
    return Certificate(math.inf, math.inf, "none", 0.0, reason)


def move_by(found: Certificate, far: float) -> Certificate:
    """The certificate of a point at most `far` away, in the norm of H, for a small `far`.

    >>> move_by(Certificate(gap=2e-6, rho=2e-3, kind="factored", rounding=0.0), 1e-3).rho
    0.003
    """
    gap = (math.sqrt(found.gap) + far) ** 2  # half of that, but for how H changes on the way
    return replace(found, gap=gap, rho=found.rho + far) if far else found


def bound_distance(decrement: float, m: float) -> float:
    """rho, the distance to the optimum in the norm of the Hessian; inf where t >= 1.

    >>> bound_distance(0.0, 1.0), bound_distance(2.0, 1.0)
    (0.0, inf)
    """
    t = decrement * m
    if not t < 1:
        return math.inf
    return decrement if t < 1e-300 else -math.log1p(-t) / m


def bound_gap(decrement: float, m: float) -> float:
    """F - F*, from the decrement and m; by its series where t is small and the form cancels.

    >>> bound_gap(1e-3, 1.0) / (0.5 * 1e-6) < 1.001
    True
    """
    t = decrement * m
    if not t < 1:
        return math.inf
    if t < 1e-2:
        return (
            decrement * decrement * sum(t**k / ((k + 1) * (k + 2)) for k in range(8)) * (1 + 1e-15)
        )
    return (t + (1 - t) * math.log1p(-t)) / m / m  # of numbers as they are: no square overflows


def bound_distance_after_step(
    rho: float, m: float, drift: float = 0.0, moved: float = math.inf
) -> float:
    """The distance, in the same norm, after one exact Newton step from a point within rho.

    rho (e^a - 1 - a) / a with a = m rho: about m rho^2 / 2, and no pass over the rows is needed.
    With a Hessian from nearby, whose curvatures have changed by e^drift at most, drift rho more.
    Any a will do that no row's logit is farther from its optimum than: where the step moves none
    by more than `moved`, that and m times the distance, which tells more of the distance.
    """
    stretch = math.exp(drift)

    def bound(a: float) -> float:
        grown = a / 2 + a**2 / 6 + a**3 / 12 if a < 1e-3 else (math.expm1(a) - a) / a
        return stretch * rho * (stretch * grown + math.expm1(drift))

    a = m * rho
    while (nearer := moved + m * bound(a)) < GAINS * a:
        a = nearer
    return bound(a)


def bound_gap_after_step(rho: float, after: float, m: float) -> float:
    """F - F* of a point within `after` of the optimum, when the Hessian was taken within `rho`.

    Along the way no logit moves by more than a = m rho, so H at the optimum is at most e^a H, and
    F grows from its minimum by at most (e^u - 1 - u) / m'^2, u = m' r, with both stretched.
    """
    if m * rho > 1:  # no step is taken from there; the closed form would overflow
        return math.inf
    stretch = math.exp(m * rho / 2)
    r, m = after * stretch, m * stretch
    u = m * r
    if u < 1e-3:
        return r * r * (0.5 + u / 6 + u**2 / 12)
    return (math.expm1(u) - u) / m / m


def box_bound(inverse: Array, reach: Array) -> float:
    """The largest x' M x, x = (z, 1), |z_j| <= reach_j, at most; M is (p + 1, p + 1), PSD.

    Needs only the range of each column: x'Mx = (z - z0)'A(z - z0) + 1/d about z0 = -A^-1 c would
    be tightest; |A| against the reach about the centre of the columns costs p^2 and no solve.
    """
    A, c, d = inverse[:-1, :-1], inverse[:-1, -1], inverse[-1, -1]
    return float(reach @ np.abs(A) @ reach + 2 * np.abs(c) @ reach + d)


def combine(parts: list[Certificate]) -> Certificate:
    """One certificate for outputs that were solved side by side: gaps add, rho in squares."""
    if len(parts) == 1:
        return parts[0]
    for k, part in enumerate(parts):
        if not part.proved:
            return no_certificate(f"output {k}: {part.reason}")
    apart = [f"output {k}: {part.reason}" for k, part in enumerate(parts) if part.reason]
    return Certificate(
        gap=sum(part.gap for part in parts),
        rho=math.hypot(*(part.rho for part in parts)),
        kind="duality" if apart else parts[0].kind,
        rounding=math.hypot(*(part.rounding for part in parts)),
        reason=apart[0] if apart else "",
    )
