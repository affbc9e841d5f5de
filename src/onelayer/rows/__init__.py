"""Where rows live: in memory, in files, on a cluster; solvers never learn it."""
