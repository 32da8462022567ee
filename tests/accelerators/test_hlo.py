"""What a program moves: against XLA's own count where that is right, and against numbers added up by hand elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from es_randomized.accelerators.hlo import Module, bytes_of

SIZE = 64


def compiled(function, *shapes):
    return jax.jit(function).lower(*(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes)).compile()


def work(program):
    return Module(program.as_text()).work


def test_without_loops_it_moves_what_xla_says():
    program = compiled(lambda x, y: jnp.sin(x @ y).sum(axis=0), (SIZE, SIZE), (SIZE, SIZE))
    assert work(program).bytes == pytest.approx(program.cost_analysis()["bytes accessed"], rel=0.05)
    assert work(program).bytes >= 3 * 4 * SIZE**2


@pytest.mark.parametrize("length", [3, 30])
def test_a_body_counts_as_often_as_it_runs(length):
    """XLA counts it once, whatever the length."""

    def repeated(x):
        return jax.lax.fori_loop(0, length, lambda _, y: jnp.tanh(y @ x), x)

    program = compiled(repeated, (SIZE, SIZE))
    array, moved = 4 * SIZE**2, work(program)
    assert (
        (length * 3 * array) <= moved.bytes <= (length * 6 * array)
    )  # two operands and a product, and what follows it
    assert program.cost_analysis()["bytes accessed"] < 12 * array
    assert moved.open_loops == 0


def test_a_loop_that_may_end_early_counts_in_full_length_and_is_told_of():
    def until(x):
        return jax.lax.while_loop(
            lambda c: (c[0] < 25) & jnp.any(c[1] > 0), lambda c: (c[0] + 1, jnp.tanh(c[1] @ x)), (jnp.int32(0), x)
        )

    moved = work(compiled(until, (SIZE, SIZE)))
    assert moved.open_loops == 1
    assert moved.bytes > 25 * 3 * 4 * SIZE**2


def test_of_an_array_that_is_read_slice_by_slice_the_slices_count():
    def rows(table):
        return jax.lax.map(lambda row: row * 2, table)

    moved = work(compiled(rows, (1000, SIZE))).bytes
    whole = 4 * 1000 * SIZE
    assert 2 * whole <= moved < 10 * whole  # not once for each of the thousand rows


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("f32[8,10]{1,0}", 4 * 8 * 10),
        ("f32[8,10]{1,0:T(8,128)}", 4 * 8 * 128),
        ("f32[8,10]{0,1:T(8,128)}", 4 * 16 * 128),  # the axis of 8 is the long one: 10 becomes 16, 8 becomes 128
        ("bf16[9,200]{1,0:T(8,128)(2,1)}", 2 * 16 * 256),
        ("f32[5]{0:T(1024)}", 4 * 1024),
        ("f32[8,10]{1,0:T(8,128)S(1)}", 0),  # in the chip's own memory
        ("(f32[4]{0}, s8[3]{0}, pred[])", 4 * 4 + 3 + 1),
    ],
)
def test_bytes_of_padded_arrays(type_, expected):
    assert bytes_of(type_) == expected


TPU = """
%body (p: f32[8,128]) -> f32[8,128] {
  %p = f32[8,128]{1,0:T(8,128)} parameter(0)
  ROOT %t = f32[8,128]{1,0:T(8,128)} tanh(%p), backend_config={"window_config":{"estimated_cycles":"100"}}
}

%condition (q: f32[8,128]) -> pred[] {
  %q = f32[8,128]{1,0:T(8,128)} parameter(0)
  %n = s32[] constant(7)
  %i = s32[] constant(0)
  ROOT %c = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (a: f32[8,128]) -> f32[8,128] {
  %a = f32[8,128]{1,0:T(8,128)} parameter(0)
  %copy-start = (f32[8,128]{1,0:T(8,128)S(1)}, f32[8,128]{1,0:T(8,128)}, u32[]{:S(2)}) copy-start(%a)
  %copy-done = f32[8,128]{1,0:T(8,128)S(1)} copy-done(%copy-start)
  ROOT %w = f32[8,128]{1,0:T(8,128)} while(/*index=0*/%a), condition=%condition, body=%body
}
"""


def test_cycles_and_copies_of_a_tpu():
    moved = Module(TPU).work
    assert moved.cycles == 7 * 100
    array = 4 * 8 * 128
    assert moved.bytes == array + 7 * (2 * array + 2 * 4 + 1)  # the copy reads main memory alone; 9 bytes are compared
