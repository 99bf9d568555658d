"""Prepares images: decodes and resizes them to what a model's batches take, within deadlines and memory bounds."""
