"""An experiment: its sections, as text and as objects."""
