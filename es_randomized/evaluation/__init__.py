"""How good trained weights are."""
