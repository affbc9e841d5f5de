"""A table larger than memory, made with a known truth, and everything that can train on it."""
