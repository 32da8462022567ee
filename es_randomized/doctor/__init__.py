"""What holds a run back: measurements from its journal and a few evaluations, findings from these, words for people."""
