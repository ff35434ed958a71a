"""Typed canvas: signatures of contract tasks, joined into workflows that are checked where they are joined."""
