"""Every test runs with shapes checked, strict promotion, key-reuse checks, two CPU devices and a cache of its own."""

import shutil
import tempfile
from pathlib import Path

import hypothesis
import jax
from jaxtyping import install_import_hook

install_import_hook("es_randomized", "beartype.beartype")

from es_randomized import compilation  # noqa: E402  (after the hook: it checks the shapes of what is imported later)

CACHE = Path(tempfile.mkdtemp(prefix="es_randomized_programs_"))

compilation.configure(devices=2, cache=CACHE)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_debug_key_reuse", True)

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")


def pytest_unconfigure():
    shutil.rmtree(CACHE, ignore_errors=True)
