"""Sending: a prepared call becomes a message on the broker."""
