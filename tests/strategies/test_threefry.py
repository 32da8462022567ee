"""Threefry against the known answers of its authors' Random123 library, and against JAX's own."""

import jax
import numpy as np
import pytest

from es_randomized.strategies.threefry import threefry

KNOWN = [  # key, counter, result: kat_vectors of Random123, threefry2x32 with 20 rounds
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("key", "counter", "result"), KNOWN)
def test_known_answers(key, counter, result):
    words = np.array([key], np.uint32)[0], *np.array(counter, np.uint32)[:, None]
    assert tuple(int(word[0]) for word in jax.jit(threefry)(*words)) == result


def test_the_bits_of_jax():
    key = jax.random.key(7)
    counters = np.arange(100, dtype=np.uint32)
    one, two = jax.jit(threefry)(jax.random.key_data(key), np.zeros_like(counters), counters)
    np.testing.assert_array_equal(one ^ two, jax.random.bits(key, (100,), np.uint32))
