"""Random labelled graphs, traceable: one graph with its vertices named at random, and random regular graphs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key

SWITCHES = 10  # tried for every edge


def relabelled(key: Key[Array, ""], graph: Bool[np.ndarray, "n n"], count: int) -> Bool[Array, "n n {count}"]:
    """The graph with uniformly random names of its vertices."""
    names = jnp.argsort(jax.random.uniform(key, (len(graph), count)), axis=0)
    return jnp.asarray(graph)[names[:, None], names[None]]


def switched(key: Key[Array, ""], graph: Bool[np.ndarray, "n n"], count: int) -> Bool[Array, "n n {count}"]:
    """Graphs of the same degrees, nearly uniform: two random edges exchange ends, again and again, where that makes a graph.

    Of the graph's edges a-b and c-d become a-d and c-b unless these are there or loops. Every graph of these degrees can be
    reached and the walk is symmetric, so in the end all are equally likely (Taylor 1981).
    """
    edges = np.argwhere(np.triu(graph))

    def one(key: Key[Array, ""]) -> Bool[Array, "n n"]:
        def switch(state: Any, draw: Any) -> Any:
            edges, graph = state
            (first, second), turned = draw
            a, b = edges[first]
            c, d = jnp.where(turned, edges[second][::-1], edges[second])
            fine = (a != d) & (c != b) & ~graph[a, d] & ~graph[c, b]  # then first is not second either
            gone = graph.at[jnp.array([a, b, c, d]), jnp.array([b, a, d, c])].set(False)
            come = gone.at[jnp.array([a, d, c, b]), jnp.array([d, a, b, c])].set(True)
            moved = edges.at[first].set(jnp.array([a, d])).at[second].set(jnp.array([c, b]))
            return (jnp.where(fine, moved, edges), jnp.where(fine, come, graph)), None

        which, turn = jax.random.split(key)
        steps = SWITCHES * len(edges)
        draws = jax.random.randint(which, (steps, 2), 0, len(edges)), jax.random.bernoulli(turn, 0.5, (steps,))
        return jax.lax.scan(switch, (jnp.asarray(edges), jnp.asarray(graph)), draws)[0][1]

    name, walk = jax.random.split(key)
    moved = jax.vmap(one)(jax.random.split(walk, count))
    names = jnp.argsort(jax.random.uniform(name, (len(graph), count)), axis=0)
    return jax.vmap(lambda graph, names: graph[names[:, None], names[None]], in_axes=(0, 1), out_axes=2)(moved, names)
