"""Policies as pure functions over weights."""
