"""Judges models of a repository against one of them on labelled photos: accuracy, speed, size, what is allowed."""
