"""Stands in for the process of a trial: writes its core and what it was given, fails or waits where its folder says so."""

import sys
import time
from pathlib import Path

folder, core, *sources = sys.argv[1:]
text = sys.stdin.read()
Path(folder, "given.txt").write_text(f"{core} {' '.join(sources)}\n{text}")
if "bad" in folder:
    print("working")
    sys.exit("error: nothing came of it")
if "slow" in folder:
    time.sleep(60)
