"""Recipes that make a model smaller or faster before it is served; each file is one, run end to end and then served."""
