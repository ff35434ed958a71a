"""Contracts as data: what is written to a lock file, told by a running worker, and turned into other documents."""
