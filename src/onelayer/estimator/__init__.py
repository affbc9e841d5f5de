"""The scikit-learn door: `OneLayerClassifier`."""

from onelayer.estimator.classifier import OneLayerClassifier as OneLayerClassifier
