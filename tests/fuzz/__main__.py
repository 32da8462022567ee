"""Thousands of made-up inputs: experiments that nobody would write, and run folders with a flipped bit.

    python -m tests.fuzz --examples 10000

Any YAML is an experiment or one message, never a traceback. Any flip in a run folder leaves the weights and the numbers that
are read as they were, or is refused. Prints how many of each there were and writes benchmarks/results/fuzz_yaml.json and
fuzz_bytes.json; a short version is among the tests.
"""

import argparse
import json
import logging
import time
from collections import Counter

from es_randomized import compilation
from tests.fuzz.flipped_bits import fuzz_bytes
from tests.fuzz.made_up_yaml import fuzz_yaml


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first example")
    parser.add_argument("--only", choices=["yaml", "bytes"])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # what falls back on an older snapshot says so
    compilation.configure(devices=1)
    from benchmarks.record import record

    for kind, fuzz in (("yaml", fuzz_yaml), ("bytes", fuzz_bytes)):
        if arguments.only in (None, kind):
            began, outcomes = time.process_time(), Counter(fuzz(arguments.first, arguments.examples))
            by_outcome = {
                " ".join(outcome) if isinstance(outcome, tuple) else outcome: n for outcome, n in outcomes.items()
            }
            results = {"first": arguments.first, "examples": arguments.examples, "outcomes": by_outcome}
            record(f"fuzz_{kind}", results | {"processor seconds": round(time.process_time() - began)})
            print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
