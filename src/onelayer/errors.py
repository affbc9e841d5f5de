"""The few kinds of error and warning that onelayer raises on purpose.

Every message names the thing (file, row, column, value), says what was expected and what to do.
"""


class InputError(ValueError):
    """A mistake in what was handed in: a file, a column, a value, an option.

    The command line prints it as one line on standard error and ends with exit code 2.
    """


class ModelFileError(InputError):
    """A model file that is cut, altered, of a newer version, or no model file at all."""


class OneLayerWarning(UserWarning):
    """Something the user should know about an answer that was given all the same."""


class ConvergenceWarning(OneLayerWarning):
    """The solver stopped before the certificate reached `tol`; the message says why."""


class LearningRateWarning(OneLayerWarning):
    """The learning rate is above the largest one that is proved to descend."""


class DataWarning(OneLayerWarning):
    """Rows left out, levels never seen, values replaced: said once, with counts."""
