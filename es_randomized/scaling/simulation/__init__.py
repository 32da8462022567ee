"""What more workers would do: a discrete-event simulation of a run, from measured costs, under the evaluator's own rules."""
