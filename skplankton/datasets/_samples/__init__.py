"""Measurements as a whole: their volume, time and place, one row per sample."""
