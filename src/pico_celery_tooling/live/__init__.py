"""Asking the running workers what they serve."""
