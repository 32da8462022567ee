"""Sweeps: many trials of one experiment, from one YAML file to one table."""
