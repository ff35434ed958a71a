"""Clients: typed calls of a contract's tasks, and their results."""
