"""Every test runs with shapes checked, strict promotion, key-reuse checks, two CPU devices and a cache for the session."""

import os
import shutil
import tempfile
from pathlib import Path

# Half of the suite's time is XLA compiling small programs that run once. Without LLVM's optimisation and with the plainer of its
# two ways to make loops of them they compute the same: the golden traces, made without either, agree to the last digit. Commands
# that tests run inherit this.
os.environ["XLA_FLAGS"] = " ".join(
    (os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")
).strip()

import hypothesis
import jax
from jaxtyping import install_import_hook

install_import_hook("es_randomized", "beartype.beartype")

from es_randomized import compilation  # noqa: E402  (after the hook: it checks the shapes of what is imported later)

# One cache of compiled programs for this session: its parallel processes and the commands it runs find it in the environment.
# A developer who sets XDG_CACHE_HOME keeps it between sessions.
FIRST = "XDG_CACHE_HOME" not in os.environ
if FIRST:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="es_randomized_tests_")

compilation.configure(devices=2)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_debug_key_reuse", True)

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")


def pytest_unconfigure():
    if FIRST:
        shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]), ignore_errors=True)
