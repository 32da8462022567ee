"""Runs at addresses of object stores."""
