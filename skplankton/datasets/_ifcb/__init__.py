"""Bins of an Imaging FlowCytobot → particle table, and back; labels and results."""
