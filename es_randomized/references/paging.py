"""Exact references for paging: Belady's optimum, LRU, FIFO, marking, and the best that randomness can do on short sequences.

A cache of `slots` pages holds 0 .. slots-1 at first. A request for a page that is not in it is a fault: it comes in, and
another page is evicted. The competitive ratio of a policy on a sequence is the number of its faults over that of the fewest
possible ones, which evicting the page that is next requested last has (Belady 1966).

Take sequences that begin with a fault. Deterministic policies guarantee k (Sleator and Tarjan 1985): whatever they evict is
asked for next, k times, where one fault is enough; LRU has at most k for each fewest one. Randomized policies guarantee H_k
on k + 1 pages (Fiat et al. 1991). That is exact from 2k - 2 requests on: marking has no more, and up to 4 slots the tests
solve the linear programme of the whole game.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

LARGEST_PROVEN = 4  # slots for which H_k is known to be exact on short sequences too

Evict = Callable[[Any, Bool[Array, "page case"], Int[Array, "page case"]], tuple[Int[Array, " case"], Any]]


def served(
    requests: Int[Array, "request case"], slots: int, pages: int, evict: Evict, given: Any = ()
) -> tuple[Bool[Array, "request case"], Any]:
    """Serve sequences; traceable.

    Args:
        evict: of what is given at a time, which pages are in the cache, and when each came in last: the page that goes if one
            has to, and what else to keep of the decision.
        given: a pytree whose first axis is the request.

    Returns:
        Which requests are faults, and what was kept, request by request.
    """
    names = jnp.arange(pages)[:, None]
    cached = jnp.broadcast_to(names < slots, (pages, requests.shape[1]))
    came = jnp.broadcast_to(names - pages, cached.shape)

    def step(state: Any, now: Any) -> Any:
        (cached, came), (time, request, given) = state, now
        wanted = names == request[None]
        fault = ~jnp.any(wanted & cached, axis=0)
        goes, kept = evict(given, cached, came)
        cached = (cached & ~((names == goes[None]) & fault[None])) | wanted
        return (cached, jnp.where(wanted & fault[None], time, came)), (fault, kept)

    return jax.lax.scan(step, (cached, came), (jnp.arange(requests.shape[0]), requests, given))[1]


def best_faults(requests: Int[Array, "request case"], slots: int, pages: int) -> Int[Array, " case"]:
    """The fewest faults that are possible; traceable."""
    length, cases = requests.shape

    def earlier(following: Int[Array, "page case"], now: Any) -> Any:
        time, request = now
        return jnp.where(jnp.arange(pages)[:, None] == request[None], time, following), following

    never = jnp.full((pages, cases), length)
    _, following = jax.lax.scan(earlier, never, (jnp.arange(length), requests), reverse=True)
    return _count(requests, slots, pages, lambda given, came: given, following)


def lru_faults(requests: Int[Array, "request case"], slots: int, pages: int) -> Int[Array, " case"]:
    """Faults of evicting the page that was not requested for the longest time; before, page 0 counts as the oldest."""

    def later(last: Int[Array, "page case"], now: Any) -> Any:
        time, request = now
        return jnp.where(jnp.arange(pages)[:, None] == request[None], time, last), last

    first = jnp.broadcast_to(jnp.arange(pages)[:, None] - pages, (pages, requests.shape[1]))
    _, last = jax.lax.scan(later, first, (jnp.arange(requests.shape[0]), requests))
    return _count(requests, slots, pages, lambda given, came: -given, last)


def fifo_faults(requests: Int[Array, "request case"], slots: int, pages: int) -> Int[Array, " case"]:
    """Faults of evicting the page that came in first; before, page 0 did."""
    return _count(requests, slots, pages, lambda given, came: -came)


def marking_faults(requests: Int[np.ndarray, "request sequence"], slots: int) -> Float[np.ndarray, " sequence"]:
    """Expected faults of marking, whose phases depend on the requests alone.

    A phase ends before the request of one more different page than there are slots, and it begins with the pages of the one
    before in the cache. A page outside of those is a fault. After c such faults and s requests of old pages, each of the
    other slots - s old pages was evicted with chance c/(slots - s).
    """
    return np.array([_marking(sequence.tolist(), slots) for sequence in np.asarray(requests).T])


def _marking(sequence: list[int], slots: int) -> float:
    old, marked, faults = set(range(slots)), set[int](), 0.0
    for page in sequence:
        if page in marked:
            continue
        if len(marked) == slots:
            old, marked = marked, set()
        stale = len(marked & old)
        faults += (len(marked) - stale) / (slots - stale) if page in old else 1.0
        marked.add(page)
    return faults


def fewest_requests(slots: int) -> int:
    """How long sequences have to be for the guarantees k and H_k to be exact."""
    return max(slots, 2 * slots - 2)


def harmonic(slots: int) -> Fraction:
    """H_k = 1 + 1/2 + ... + 1/k."""
    return sum((Fraction(1, place) for place in range(1, slots + 1)), Fraction(0))


def _count(
    requests: Array, slots: int, pages: int, key: Callable[[Any, Array], Array], given: Any = ()
) -> Int[Array, " case"]:
    """Faults of evicting the page with the largest key, a whole number of every page."""
    smallest = jnp.iinfo(jnp.int32).min

    def evict(given: Any, cached: Array, came: Array) -> tuple[Array, tuple[()]]:
        return jnp.argmax(jnp.where(cached, key(given, came), smallest), axis=0), ()

    return jnp.sum(served(requests, slots, pages, evict, given)[0], axis=0, dtype=jnp.int32)
