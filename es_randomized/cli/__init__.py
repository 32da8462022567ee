"""The command es-randomized."""
