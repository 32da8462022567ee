"""The task and the model as a user of JAX would write them: one case, features last, and `vmap` for everything else."""

import jax
import jax.numpy as jnp

NODES, COLOURS, WIDTH, HIDDEN, BLOCKS, KEY = 10, 3, 16, 64, 2, 16
BLOCK = (
    ("down", (WIDTH, HIDDEN)),
    ("down_bias", (WIDTH,)),
    ("key", (KEY, WIDTH)),
    ("output", (WIDTH, KEY)),
    ("query", (KEY, WIDTH)),
    ("up", (HIDDEN, WIDTH)),
    ("up_bias", (HIDDEN,)),
    ("value", (KEY, WIDTH)),
)
ENDS = (("embed", (WIDTH, NODES + 1)), ("readout", (COLOURS, WIDTH)), ("readout_bias", (COLOURS,)))
LAYOUT = [(block, name, shape) for block in range(BLOCKS) for name, shape in BLOCK]
LAYOUT += [(None, name, shape) for name, shape in ENDS]


def unflatten(flat):
    """Flat weights [param] as ({name: matrix}, [{name: matrix} per block])."""
    ends, blocks, start = {}, [{} for _ in range(BLOCKS)], 0
    for block, name, shape in LAYOUT:
        size = shape[0] * (shape[1] if len(shape) > 1 else 1)
        (ends if block is None else blocks[block])[name] = flat[start : start + size].reshape(shape)
        start += size
    return ends, blocks


def norm(x):
    """Layer norm without parameters over the last axis."""
    return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6)


def model(weights, tokens):
    """Logits [node, colour] of the tokens [node, feature] of one cycle."""
    ends, blocks = weights
    x = tokens @ ends["embed"].T
    for block in blocks:
        normed = norm(x)
        query = normed @ block["query"].T
        key, value = normed @ block["key"].T, normed @ block["value"].T
        keys = jnp.stack([jnp.roll(key, 1, 0), jnp.roll(key, -1, 0)])
        values = jnp.stack([jnp.roll(value, 1, 0), jnp.roll(value, -1, 0)])
        attention = jax.nn.softmax((keys * query).sum(-1) / KEY**0.5, axis=0)
        x = x + (attention[..., None] * values).sum(0) @ block["output"].T
        hidden = jax.nn.gelu(norm(x) @ block["up"].T + block["up_bias"])
        x = x + hidden @ block["down"].T + block["down_bias"]
    return norm(x) @ ends["readout"].T + ends["readout_bias"]


def tokens_of(cycle, noise):
    """Tokens [node, feature] of one cycle [position] with one seed [vertex]: the vertex and its share of the seed."""
    return jnp.concatenate([jax.nn.one_hot(cycle, NODES), noise[cycle][:, None]], axis=-1)


def loss_of_logits(logits):
    """The sum over edges of the probability that both ends have one colour."""
    chances = jax.nn.softmax(logits, axis=-1)
    return (chances * jnp.roll(chances, -1, 0)).sum()


def batch(key, instances, seeds):
    """Fresh cycles [instance, position] and seeds [seed, vertex]."""
    one, two = jax.random.split(key)
    cycles = jax.vmap(lambda k: jax.random.permutation(k, NODES))(jax.random.split(one, instances))
    return cycles, jax.random.uniform(two, (seeds, NODES))


def case_losses(flat, cycles, noise):
    """Losses [instance, seed] of one member."""
    weights = unflatten(flat)

    def loss(cycle, seed):
        return loss_of_logits(model(weights, tokens_of(cycle, seed)))

    return jax.vmap(lambda cycle: jax.vmap(lambda seed: loss(cycle, seed))(noise))(cycles)


def objective(losses, q):
    """The q-norm over instances of the losses [instance, seed] averaged over seeds."""
    return jnp.mean(losses.mean(1) ** q) ** (1 / q)


def fitness(flat, cycles, noise, q):
    """The objective of one member, lower is better."""
    return objective(case_losses(flat, cycles, noise), q)
