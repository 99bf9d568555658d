"""Tries a model's settings under load on the served path, and writes those that are clearly better."""
