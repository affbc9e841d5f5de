"""`OneLayerClassifier`: scikit-learn's own checks, and the minimiser of `LogisticRegression`."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from onelayer import OneLayerClassifier


@parametrize_with_checks([OneLayerClassifier()])
def test_scikit_learn_checks_pass(estimator, check):
    check(estimator)
