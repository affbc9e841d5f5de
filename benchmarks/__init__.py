"""Comparisons with other libraries, for those who wonder: `python -m benchmarks --help`."""
