"""How a cluster scales: measured, and simulated."""
