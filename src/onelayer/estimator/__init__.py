"""The scikit-learn door: `OneLayerClassifier`, and `one_layer_path` for many strengths."""

from onelayer.estimator.classifier import OneLayerClassifier as OneLayerClassifier
from onelayer.estimator.path import one_layer_path as one_layer_path
