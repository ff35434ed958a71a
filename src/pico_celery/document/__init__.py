"""Contracts as data: written to lock files, reported by running workers, turned into other documents."""
