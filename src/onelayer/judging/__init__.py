"""How good probabilities are on rows whose answer is known: losses, areas, groups, drift."""
