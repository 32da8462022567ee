"""The only layer that imports ray: sessions, workers and the evaluator that feeds them."""
