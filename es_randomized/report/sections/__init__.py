"""Sections of a page about runs, in its order: each is a module with the function `sections`."""

from es_randomized.report.sections import (
    amplification,
    costs,
    curves,
    histograms,
    inputs,
    origins,
    results,
    seeds,
    timeline,
)

SECTIONS = tuple(
    module.sections for module in (results, curves, histograms, amplification, seeds, inputs, costs, timeline, origins)
)
