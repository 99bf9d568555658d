"""Builds the models that come with topfive from their published weights: the only place that imports torch."""
