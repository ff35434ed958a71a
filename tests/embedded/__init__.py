"""Tests of the embedded broker with real servers and processes."""
