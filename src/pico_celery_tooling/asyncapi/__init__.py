"""Contracts as AsyncAPI 3.0."""
