"""What every child finds loaded: it is forked from a server that has imported this module.

No thread is started here: a fork must not lose one.
"""

import sklearn.linear_model  # noqa: F401

import onelayer.estimator  # noqa: F401
from benchmarks.race import child  # noqa: F401
