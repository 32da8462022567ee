"""Clusters that commands go to."""
