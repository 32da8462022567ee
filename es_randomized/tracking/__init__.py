"""Curves of a run in other people's tools. Nothing depends on them: a tracker that fails is given up, and the run goes on."""
