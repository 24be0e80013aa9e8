"""Learned fields: objectives that share a minimiser, rates in features and in data, and what the error of a score costs the law."""
