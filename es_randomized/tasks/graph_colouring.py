"""Colour the vertices of a graph so that no two neighbours agree, by rounds of messages between neighbours.

An instance is a labelled graph: which of the vertices 0 .. n-1 are joined. The same policy acts at every vertex. In every round
it sees the vertex's identifier, fresh numbers of its own from the seed, how likely it found each colour a round ago, and the sum
of what its neighbours found; it returns a score for every colour. The answer are the likeliest colours after the last round.

Cycles have a task of their own with a kernel that looks at all neighbours at once: cycle_colouring.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from pydantic import Field, TypeAdapter

from es_randomized import rng
from es_randomized.policy import Interface, Policy
from es_randomized.references import graphs
from es_randomized.settings import settings
from es_randomized.tasks.colourings import number_of
from es_randomized.tasks.edge_lists import read_edges
from es_randomized.tasks.graph_references import SHOWN, references_of
from es_randomized.tasks.labelled_graphs import relabelled, switched
from es_randomized.tasks.measure import Bounds
from es_randomized.tasks.task import Outcome, Reference, Task

Vertex = Annotated[int, Field(ge=0)]
Chances = Float[Array, "colour vertex case"]
NEEDS = {"path": (), "grid": ("rows",), "regular": ("degree",), "edges": ("edges",)}  # the settings of each graph


class GraphCases(NamedTuple):
    """The graphs, and the seed's numbers."""

    graphs: Bool[Array, "vertex vertex case"]
    seeds: Float[Array, "noise round vertex case"]


@settings
class GraphColouring(Task):
    """Proper colouring of a graph.

    Attributes:
        graph: path, grid, regular (a random graph in which all vertices have one degree) or edges (one that is given); all but
            regular ones differ between instances only in which vertex stands where.
        n: vertices.
        rows: of a grid; divides n.
        degree: of a regular graph; n * degree is even.
        edges: pairs of vertices, or the name of a file with one pair in a line, which is read once.
        colours: null: one more than the largest degree, with which every partial colouring can be completed. Paths and grids can
            do with fewer.
        rounds: how often vertices tell their neighbours.
        noise_width: standard normal numbers per vertex and round.
        identifiers: whether tokens hold the one-hot vertex; without them the vertices are anonymous.
    """

    graph: Literal["path", "grid", "regular", "edges"] = "path"
    n: Annotated[int, Field(ge=2, le=256)] = 6
    rows: Annotated[int, Field(ge=1)] | None = None
    degree: Annotated[int, Field(ge=1)] | None = None
    edges: list[Annotated[list[Vertex], Field(min_length=2, max_length=2)]] | None = None
    colours: Annotated[int, Field(ge=2)] | None = None
    rounds: Annotated[int, Field(ge=1)] = 4
    noise_width: Annotated[int, Field(ge=1)] = 1
    identifiers: bool = True

    version: ClassVar[int] = 1

    @classmethod
    def read_settings(cls, section: Mapping[str, Any]) -> "GraphColouring":
        """The task of a section; edges in a file become a part of it, so that a run does not depend on the file."""
        edges = section.get("edges")
        given = {**section, "edges": read_edges(edges)} if isinstance(edges, str) else dict(section)
        return TypeAdapter(cls).validate_python(given)

    def __post_init__(self) -> None:
        for name in ("rows", "degree", "edges"):
            if (name in NEEDS[self.graph]) != (getattr(self, name) is not None):
                wanted = "needs" if name in NEEDS[self.graph] else "has no"
                raise ValueError(f"graph: {self.graph} {wanted} {name}")
        if self.rows and self.n % self.rows:
            raise ValueError(f"a grid of n={self.n} vertices cannot have {self.rows} rows; use a divisor of {self.n}")
        if not self.edges and self.edges is not None:
            raise ValueError("edges is empty; give pairs of vertices, or a file with a pair in every line")
        least = 2 if self.graph in ("path", "grid") else self.largest_degree + 1
        if self.colours is not None and self.colours < least:
            raise ValueError(
                f"colours is {self.colours}, but the largest degree is {self.largest_degree}, so that {least} may be needed"
            )

    @cached_property
    def base(self) -> Bool[np.ndarray, "vertex vertex"]:
        """The graph, with names in its natural order; of regular ones the one that random ones are made of."""
        if self.graph == "edges":
            assert self.edges is not None
            return graphs.graph_of(self.n, [(one, other) for one, other in self.edges])
        if self.graph == "regular":
            return graphs.circulant(self.n, self.degree or 0)
        return graphs.grid(self.rows or 1, self.n // (self.rows or 1))

    @property
    def largest_degree(self) -> int:
        """Of all vertices."""
        return int(self.base.sum(axis=0).max())

    @property
    def palette(self) -> int:
        """How many colours there are."""
        return self.colours or self.largest_degree + 1

    @property
    def interface(self) -> Interface:
        own = self.n if self.identifiers else 0
        features = self.noise_width + own + 2 * self.palette + self.rounds
        return Interface(features, self.palette, horizon=self.rounds, seed_features=range(self.noise_width))

    @property
    def at_once(self) -> int:
        return self.n

    @property
    def tokens(self) -> int:
        return self.n * self.rounds

    @property
    def loss_bounds(self) -> Bounds:
        return Bounds(0.0, float(self.base.sum() / 2))

    def sample(self, key: Key[Array, ""], count: int) -> Bool[Array, "vertex vertex {count}"]:
        """Uniform names of the vertices; regular graphs are nearly uniform among all."""
        return (switched if self.graph == "regular" else relabelled)(key, self.base, count)

    def enumerate(self) -> Bool[np.ndarray, "vertex vertex instance"] | None:
        """All labelled graphs, for n <= 8 and up to 25,000 of them."""
        if self.graph == "regular":
            return graphs.regular(self.n, self.degree or 0)
        edges = np.argwhere(np.triu(self.base)).tolist()
        return graphs.relabellings(self.n, tuple((one, other) for one, other in edges))

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise round vertex {count}"]:
        """Independent numbers for every vertex in every round."""
        return jax.random.normal(key, (self.noise_width, self.rounds, self.n, count))

    def observe(
        self, bundles: Bool[Array, "vertex vertex case"], seeds: Float[Array, "noise round vertex case"]
    ) -> GraphCases:
        """The graphs and the numbers; everything else depends on what the policy does."""
        return GraphCases(bundles, seeds)

    def rollout(self, policy: Policy, observations: GraphCases) -> Outcome:
        """Loss: sum over edges of the probability that both ends agree, at least P(some edge is monochromatic)."""
        scores = self._scores(policy, observations)
        chances = jax.nn.softmax(scores, axis=0)
        loss = jnp.sum(chances * _of_neighbours(chances, observations.graphs), axis=(0, 1)) / 2
        chosen = jnp.argmax(scores, axis=0)
        vertices = jnp.broadcast_to(jnp.arange(self.n)[:, None], chosen.shape)
        answer = number_of(chosen, vertices, self.palette)
        return Outcome(loss[None], _proper(chosen, observations.graphs)[None], answer[None])

    def log_chances(self, policy: Policy, observations: GraphCases) -> Chances:
        """Log-probabilities of every vertex's colours."""
        return jax.nn.log_softmax(self._scores(policy, observations), axis=0)

    def decide(self, log_chances: Chances, observations: GraphCases) -> Bool[Array, "1 case"]:
        """Whether the likeliest colours are a proper colouring."""
        return _proper(jnp.argmax(log_chances, axis=0), observations.graphs)[None]

    def references(self) -> list[Reference]:
        """The optimum where a proof of it is at hand, guessing, and decentralised recolouring (arXiv:2002.05121), in which every
        vertex may be recoloured as often as this policy's act."""
        rows = []
        if self.identifiers and self.rounds >= self.n and self.palette > self.largest_degree:
            rows.append(Reference("exact optimum (in turn, by identifier)", 1.0, 1.0, 1.0, "exact"))
        return rows + references_of(self._kinds_of_graphs(), self.palette, self.tokens)

    def _kinds_of_graphs(self) -> Bool[np.ndarray, "vertex vertex graph"]:
        """Graphs among which all that are no relabellings of each other are; some of them where there are too many."""
        if self.graph != "regular":
            return self.base[..., None]
        every = self.enumerate()
        some = rng.address(0, rng.Purpose.EVALUATION_INSTANCES)
        return np.asarray(self.sample(some, SHOWN)) if every is None else every

    def _scores(self, policy: Policy, cases: GraphCases) -> Chances:
        """Of all colours, after the last round."""
        count, dtype = cases.graphs.shape[-1], cases.seeds.dtype
        names = jnp.eye(self.n, dtype=dtype)[: self.n if self.identifiers else 0]
        names = jnp.broadcast_to(names[..., None], (len(names), self.n, count))

        def act(state: Any, now: Any) -> Any:
            (scores, memory), (time, noise) = state, now
            chances = jnp.where(time > 0, jax.nn.softmax(scores, axis=0), 0)
            clock = jnp.broadcast_to((jnp.arange(self.rounds) == time)[:, None, None], (self.rounds, self.n, count))
            heard = _of_neighbours(chances, cases.graphs)
            token = jnp.concatenate([noise, names, chances, heard, clock.astype(dtype)])
            scores, memory = policy.step(memory, token.reshape(token.shape[0], -1), time)
            return (scores.reshape(self.palette, self.n, count), memory), None

        first = jnp.zeros((self.palette, self.n, count), dtype), policy.empty(self.n * count)
        rounds = jnp.arange(self.rounds), jnp.moveaxis(cases.seeds, 1, 0)
        return jax.lax.scan(act, first, rounds)[0][0]


def _of_neighbours(chances: Chances, graphs: Bool[Array, "vertex vertex case"]) -> Chances:
    """The sum over the neighbours of every vertex."""
    return jnp.sum(jnp.where(graphs[None], chances[:, None], 0), axis=2)


def _proper(chosen: Int[Array, "vertex case"], graphs: Bool[Array, "vertex vertex case"]) -> Bool[Array, " case"]:
    """Whether no edge is monochromatic."""
    return ~jnp.any(graphs & (chosen[:, None] == chosen[None]), axis=(0, 1))
