"""Shared by all folders: random states, labels, files, reports of invalid data."""
