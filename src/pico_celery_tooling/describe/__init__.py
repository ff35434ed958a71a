"""Contracts as text for people."""
