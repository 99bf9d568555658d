"""Writes a model into a model repository: labels, configurations, folders, provenance."""
