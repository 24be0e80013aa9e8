"""Studies of the theory: one file per topic, one declarative catalogue of claims and expected outcomes."""
