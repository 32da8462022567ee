"""Keys are addresses: different places, different keys; one place, one key, however it is reached."""

from functools import partial
from itertools import product

import jax
import numpy as np

from es_randomized.rng import Purpose, address, inside


def bits(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_different_places_have_different_keys():
    generations = np.repeat(np.arange(10, dtype=np.uint32), 3)
    indices = np.tile(np.arange(3, dtype=np.uint32), 10)
    found = set()
    for seed, purpose in product((0, 1, 2**32 - 1), Purpose):
        keys = jax.vmap(partial(address, seed, purpose))(generations, indices)
        found |= set(map(tuple, np.asarray(jax.random.key_data(keys)).tolist()))
    assert len(found) == 3 * len(Purpose) * 30


def test_a_traced_generation_gives_the_key_of_the_number():
    traced = jax.jit(lambda generation, index: address(3, Purpose.NOISE, generation, index))
    for generation, index in [(0, 0), (1, 7), (123_456, 2)]:
        found = traced(np.uint32(generation), np.uint32(index))
        assert bits(found) == bits(address(3, Purpose.NOISE, generation, index))


def test_places_inside_a_place_have_keys_of_their_own():
    steps = jax.vmap(lambda step: inside(address(3, Purpose.NOISE, 1), step))(np.arange(20, dtype=np.int32))
    found = set(map(tuple, np.asarray(jax.random.key_data(steps)).tolist()))
    assert len(found | {bits(address(3, Purpose.NOISE, 1))}) == 21
    assert bits(inside(address(3, Purpose.NOISE, 1), 4, 5)) == bits(inside(inside(address(3, Purpose.NOISE, 1), 4), 5))


def test_training_and_evaluation_draw_different_numbers():
    draws = [float(jax.random.uniform(address(0, purpose))) for purpose in Purpose]
    assert len(set(draws)) == len(draws)


def test_keys_do_not_depend_on_the_default_generator():
    usual = bits(address(5, Purpose.SEEDS, 2))
    with jax.default_prng_impl("rbg"):
        assert bits(address(5, Purpose.SEEDS, 2)) == usual


def test_the_numbers_of_the_purposes_are_part_of_saved_runs():
    assert {purpose.name: int(purpose) for purpose in Purpose} == {
        "INIT": 0,
        "NOISE": 1,
        "UPDATE": 2,
        "INSTANCES": 3,
        "SEEDS": 4,
        "EVALUATION_INSTANCES": 5,
        "EVALUATION_SEEDS": 6,
        "CHECK_INSTANCES": 7,
        "CHECK_SEEDS": 8,
        "ACTIONS": 9,
        "EVALUATION_NOISE": 10,
        "NOISE_TABLE": 11,
        "SPECIALISTS": 12,
        "THINNING": 13,
        "POOL": 14,
        "POOL_SEEDS": 15,
    }
