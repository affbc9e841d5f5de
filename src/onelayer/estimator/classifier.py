"""`OneLayerClassifier`: scikit-learn's words for the network."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from onelayer.errors import InputError
from onelayer.estimator.chunked import lazy_over_chunks
from onelayer.estimator.incremental import begin_after_fit, learn_more
from onelayer.estimator.inputs import number_classes, to_features
from onelayer.estimator.options import check_options, plan_descent
from onelayer.estimator.previous import PreviousFit, remember_fit, require_same_problem
from onelayer.estimator.summary import Reading, read_again, read_rows, to_evidence, to_naming
from onelayer.fitting import fit
from onelayer.loss import Loss, SigmoidLoss, SoftmaxLoss
from onelayer.network import log_loss, sigmoid
from onelayer.outcome import warn_of_outcome, warn_of_strength
from onelayer.scoring import predict_logits
from onelayer.solvers.solution import Progress, Solution
from onelayer.strength import settle_strength
from onelayer.summary import Summary

Array = NDArray[Any]


class OneLayerClassifier(ClassifierMixin, BaseEstimator):
    """A one-layer neural network: sigmoid outputs, or one softmax over several classes.

    Minimises sum_i s_i loss_i + (1 / C) ((1 - l1_ratio) / 2 |W|^2 + l1_ratio |W|_1), the bias never
    penalised: the minimiser is that of scikit-learn's `LogisticRegression` with the same `C` and
    `l1_ratio`, found exactly and with a proof.

    Parameters
    ----------
    C: inverse strength of the penalty, above 0; `np.inf` for none; "auto" for the one that does
        best on rows left out one by one.
    l1_ratio: share of the L1 penalty, from 0 (pure L2) to 1 (pure L1); above 0 some coefficients
        are exactly 0, and `solver` must be "auto".
    fit_intercept: whether to fit a bias.
    class_weight: None, "balanced" (n / (n_classes count)), or a weight for each class; as in
        scikit-learn, probabilities are those of the weighed classes (`onelayer.train` puts them
        right).
    solver: "auto", "newton", "newton_cg", "gram" (dense tables of more columns than rows)
        or "gradient_descent" (the article's loop).
    learning_rate, num_iterations: for gradient descent; a rate above 0, or "safe".
    optimizer: the step of gradient descent: "gd" (the article's), "momentum" or "adam".
    batch_size: rows a step of gradient descent, in a new random order in each of `num_iterations`
        passes; None for all rows in every step. `partial_fit` takes 32 where it is None.
    tol: the largest distance from the exact optimum, in standard errors of each coefficient.
    n_jobs: threads; None or -1 for every core the process may use. The answer is the same to the
        bit for any number.
    random_state: seed of the random start of gradient descent and of the order of minibatches (an
        int or `RandomState`; None draws from NumPy's global state).
    verbose: 1 prints the cost and the proved distance after each step.
    warm_start: whether `fit` sets out from the coefficients of the fit before, which must have had
        the same classes and the same number of columns. The second-order solvers then need fewer
        passes; gradient descent goes on where it stopped.
    weight_kind: what `sample_weight` means: "frequency" (2 is the row twice) or "sampling" (survey
        weights: how many people a row stands for; divided by their mean, so that they add up to
        the rows). It decides which errors `summary` gives.

    Attributes
    ----------
    coef_: (n_outputs, n_features); n_outputs is 1 for two classes.
    intercept_: (n_outputs,).
    classes_: the class labels; for 2-D labels the numbers of the outputs.
    multilabel_: whether the labels were 2-D, one sigmoid an output.
    C_: the C used. strength_: with C="auto" the `StrengthChoice`, with the values tried and their
        losses; else None.
    n_iter_: (1,) steps taken. n_features_in_, feature_names_in_: as in scikit-learn.
    solution_: the `Solution`, with certificate, passes, seconds and history. It keeps hold of the
        rows, for `summary`; a pickle or copy of it does not.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    >>> network = OneLayerClassifier().fit(X, y)
    >>> network.predict([[0.5], [2.5]]).tolist()
    ['no', 'yes']
    >>> network.solution_.certificate.rho <= 1e-4
    True
    """

    def __init__(
        self,
        C: float | str = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "auto",
        learning_rate: float | str = 1.2,
        num_iterations: int = 10,
        tol: float = 1e-4,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        warm_start: bool = False,
        batch_size: int | None = None,
        optimizer: str = "gd",
        weight_kind: str = "frequency",
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.learning_rate = learning_rate
        self.num_iterations = num_iterations
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_kind = weight_kind

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "OneLayerClassifier":
        """Train on rows `X` (n_samples, n_features) with labels `y`.

        Parameters
        ----------
        X: dense or CSR/CSC, float32 or float64, or a frame of pandas, polars or pyarrow.
        y: (n_samples,) of two or more classes of any type, or (n_samples, n_outputs) of 0 and 1.
        sample_weight: (n_samples,), 0 or more; a weight of 2 is the row twice.

        Raises
        ------
        InputError: one class only, negative weights, an option out of its range, `warm_start` from
            other classes or columns.

        Warns
        -----
        ConvergenceWarning: no finite optimum (separation without a penalty), divergence.
        DataWarning: with C="auto", where the best C is the first or the last one tried.
        """
        check_options(self)
        previous = remember_fit(self) if self.warm_start else None
        reading = read_rows(self, X, y, sample_weight)
        if previous is not None:
            require_same_problem(self, previous)
        solution = self._solve(reading, previous)
        # Rows in memory are kept at hand for `summary`; a cluster is not to be held on to for it.
        kept = reading.rows.in_memory
        self.solution_ = solution.holding(to_evidence(self, reading)) if kept else solution
        begin_after_fit(self, reading.rows)
        self.coef_, self.intercept_ = self.solution_.W, self.solution_.b[:, 0]
        self.n_iter_ = np.array([self.solution_.iterations], dtype=np.int32)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "OneLayerClassifier":
        """Learn from further rows: one pass of the article's step over them, in minibatches.

        The learning rate is safe and decays; `solver`, `learning_rate`, `num_iterations`,
        `optimizer` and `tol` are those of `fit` alone. A step takes `batch_size` rows, 32 where
        that is None. The penalty counts once for all different rows shown so far: calls with the
        same 32 rows or more, in whatever order, are one table shown again, and lead to the optimum
        of `fit` on it. After a `fit` it goes on from there. docs/mathematics.md says why it
        arrives.

        Parameters
        ----------
        X: rows as in `fit`.
        y: (n_samples,) of the classes, not necessarily all; or (n_samples, n_outputs) of 0 and 1.
        classes: all classes that will come; needed in the first call, unless `y` holds them all.
        sample_weight: (n_samples,), 0 or more; a row with 0 is not looked at.

        Raises
        ------
        InputError: a class that was not named, other classes than before, an option out of range.

        Examples
        --------
        >>> network = OneLayerClassifier(random_state=0)
        >>> for X, y in ([[0.0], [1.0]], [0, 0]), ([[3.0], [2.0]], [1, 1]):
        ...     network = network.partial_fit(X, y, classes=[0, 1])
        >>> network.solution_.status, network.predict([[-9.0], [9.0]]).tolist()
        ('stopped', [0, 1])
        """
        learn_more(self, X, y, classes, sample_weight)
        return self

    def summary(
        self,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        errors: str | None = None,
        clusters: Any = None,
        level: float = 0.95,
    ) -> Summary:
        """Coefficients with their errors, and how well the whole fits; see `Solution.summary`.

        Parameters
        ----------
        X, y, sample_weight: the rows of the fit, once more; needed only where the classifier was
            saved and loaded since, for rows are not saved with it.
        errors: "model", "robust" (HC0) or "HC1". clusters: (n_samples,) the name of each row's
            cluster. level: of the intervals.

        Raises
        ------
        InputError: rows that are not those of the fit, an option out of its range.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=100)
        >>> y = x + rng.logistic(size=100) > 0
        >>> found = OneLayerClassifier(C=np.inf).fit(x[:, None], y).summary()
        >>> [round(each.error, 2) for each in found.coefficients]
        [0.23, 0.21]
        """
        check_is_fitted(self)
        solution = self.solution_
        if X is not None:
            solution = solution.holding(read_again(self, X, y, sample_weight))
        return solution.summary(errors, clusters, level)

    @lazy_over_chunks
    def decision_function(self, X: ArrayLike) -> Array:
        """The logits: (n_samples,) for two classes, else (n_samples, n_outputs)."""
        Z = self._logits(X)
        return Z[0] if self._is_binary else np.ascontiguousarray(Z.T)

    @lazy_over_chunks
    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities (n_samples, n_classes); for 2-D labels those of 1, one an output."""
        Z = self._logits(X)
        if self._is_binary:
            return np.asarray(sigmoid(np.column_stack([-Z[0], Z[0]])))
        return np.ascontiguousarray(self._loss.activate(Z).T)

    @lazy_over_chunks
    def predict_log_proba(self, X: ArrayLike) -> Array:
        """log of `predict_proba`, from the logits: finite where a probability is 1e-400."""
        Z = self._logits(X)
        if self._is_binary:
            return np.asarray(-log_loss(np.column_stack([-Z[0], Z[0]]), 1))
        if isinstance(self._loss, SigmoidLoss):
            return np.ascontiguousarray(-log_loss(Z, 1).T)
        return np.ascontiguousarray((Z - logsumexp(Z, axis=0)).T)

    @lazy_over_chunks
    def predict(self, X: ArrayLike) -> Array:
        """The class whose probability is largest; of two, the second only above 0.5."""
        Z = self._logits(X)
        if self._is_binary:
            return np.asarray(self.classes_[(sigmoid(Z[0]) > 0.5).astype(np.intp)])
        if isinstance(self._loss, SigmoidLoss):
            return np.ascontiguousarray((sigmoid(Z) > 0.5).T.astype(np.intp))
        return np.asarray(self.classes_[Z.argmax(axis=0)])

    def _solve(self, reading: Reading, previous: PreviousFit | None) -> Solution:
        """Set `C_` and `strength_`, and fit."""
        rows, loss = reading.rows, reading.loss
        self.C_, self.strength_, start = settle_strength(
            rows,
            loss,
            self.C,
            l1_ratio=float(self.l1_ratio),
            fit_intercept=self.fit_intercept,
            copies=reading.copies,
        )
        warn_of_strength(self.strength_)
        solution = fit(
            rows,
            loss,
            C=self.C_,
            l1_ratio=float(self.l1_ratio),
            fit_intercept=self.fit_intercept,
            solver=self.solver,
            tol=self.tol,
            descent=plan_descent(self) if self.solver == "gradient_descent" else None,
            watch=_print_progress if self.verbose else None,
            start=start if previous is None else previous.start,
            naming=to_naming(self, reading.held),
        )
        warn_of_outcome(solution)
        return solution

    @property
    def _loss(self) -> Loss:
        return self._loss_of(len(self.coef_))

    def _loss_of(self, outputs: int) -> Loss:
        several = outputs > 1 and not self.multilabel_
        return SoftmaxLoss(outputs) if several else SigmoidLoss(outputs)

    @property
    def _is_binary(self) -> bool:
        return not self.multilabel_ and len(self.classes_) == 2

    def _logits(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        # Sparse rows stay sparse, however full: a row's bits must not depend on those beside it.
        features = to_features(X, fullest=1.0)
        return predict_logits(features, self.coef_, self.intercept_[:, None], self.n_jobs)

    def _read_labels(self, y: Array) -> tuple[Loss, Array]:
        """Set `classes_`; the loss, and labels (n_outputs, n) of 0/1 or (1, n) class numbers."""
        if y.ndim == 2 and y.shape[1] > 1:
            check_classification_targets(y)
            return self._read_indicators(y)
        if y.ndim > 1:
            y = column_or_1d(y, warn=True)
        self.classes_, codes = number_classes(y)
        self.multilabel_ = False
        if len(self.classes_) < 2:
            raise InputError(
                f"y holds one class only ({self.classes_[0]!r}) among the rows with a weight: "
                f"give rows of at least two classes"
            )
        # In bytes: a tall table's labels as float64 would be a large part of what a fit takes.
        if codes.dtype == np.bool_:
            return SigmoidLoss(1), codes.view(np.int8)[None]
        labels = codes.astype(np.min_scalar_type(-len(self.classes_)))[None]
        if len(self.classes_) == 2:
            return SigmoidLoss(1), labels
        return SoftmaxLoss(len(self.classes_)), labels

    def _read_indicators(self, y: Array) -> tuple[Loss, Array]:
        if not np.isin(y, (0, 1)).all():
            raise InputError("y has several columns and holds values other than 0 and 1")
        labels = np.ascontiguousarray(y.T, dtype=np.int8)
        for k, row in enumerate(labels):
            if row.min() == row.max() and self.fit_intercept:
                raise InputError(
                    f"y[:, {k}] holds one class only ({row[0]:.0f}): its bias has no optimum, "
                    f"leave that output out"
                )
        self.classes_, self.multilabel_ = np.arange(len(labels)), True
        return SigmoidLoss(len(labels)), labels

    def _weigh_classes(self, y: Array, weights: Array) -> Array:
        if self.multilabel_:
            raise InputError("class_weight is not available for 2-D labels: use sample_weight")
        y = column_or_1d(y)
        by_class = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y, sample_weight=weights
        )
        if not (by_class > 0).all():
            raise InputError(f"class_weight={self.class_weight!r}: expected weights above 0")
        return np.asarray(by_class[np.searchsorted(self.classes_, y)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_label = True
        return tags


def _print_progress(progress: Progress) -> None:
    print(
        f"step {progress.iteration}: cost {progress.cost:.6f}, "
        f"proved within {progress.rho:.1e} standard errors"
    )
