"""onelayer: a one-layer neural network for classification, proved and explained.

Names are loaded on first use, so that `import onelayer` and `onelayer --help` stay quick.

>>> import onelayer
>>> float(onelayer.sigmoid(0.0))
0.5
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "sigmoid": "network",
    "layer_sizes": "network",
    "initialize_parameters": "network",
    "forward_propagation": "network",
    "compute_cost": "network",
    "backward_propagation": "network",
    "update_parameters": "network",
    "nn_model": "network",
    "predict": "network",
    "OneLayerClassifier": "estimator",
    "one_layer_path": "estimator",
    "Model": "model",
    "train": "training",
    "ThresholdRule": "thresholds.choice",
    "update": "updating",
    "forget": "updating",
    "write_report": "report",
    "find_influence": "influence",
    "Schema": "table.schema",
    "InputError": "errors",
    "ModelFileError": "errors",
    "OneLayerWarning": "errors",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'onelayer' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"onelayer.{_HOMES[name]}"), name)
    return found  # kept, so that it is not looked for again


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from onelayer.errors import InputError as InputError
    from onelayer.errors import ModelFileError as ModelFileError
    from onelayer.errors import OneLayerWarning as OneLayerWarning
    from onelayer.estimator import OneLayerClassifier as OneLayerClassifier
    from onelayer.estimator import one_layer_path as one_layer_path
    from onelayer.influence import find_influence as find_influence
    from onelayer.model import Model as Model
    from onelayer.network import backward_propagation as backward_propagation
    from onelayer.network import compute_cost as compute_cost
    from onelayer.network import forward_propagation as forward_propagation
    from onelayer.network import initialize_parameters as initialize_parameters
    from onelayer.network import layer_sizes as layer_sizes
    from onelayer.network import nn_model as nn_model
    from onelayer.network import predict as predict
    from onelayer.network import sigmoid as sigmoid
    from onelayer.network import update_parameters as update_parameters
    from onelayer.report import write_report as write_report
    from onelayer.table.schema import Schema as Schema
    from onelayer.thresholds.choice import ThresholdRule as ThresholdRule
    from onelayer.training import train as train
    from onelayer.updating import forget as forget
    from onelayer.updating import update as update
