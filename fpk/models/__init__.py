"""Learned fields in numpy: features, the objectives of score and flow matching, their exact minimisers, and what an error costs the law."""
