"""A training on a cluster: measured on this machine, carried to others, checked by simulation."""
