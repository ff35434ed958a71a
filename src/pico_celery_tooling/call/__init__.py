"""A call from the command line."""
