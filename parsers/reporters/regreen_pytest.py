"""Regreen's reporter for pytest."""
