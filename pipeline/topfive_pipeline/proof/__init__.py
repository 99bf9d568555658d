"""Runs graphs and compares them with what they were made from."""
