"""One training algorithm a file; each returns a `Solution`."""
