"""What small memories can recall: n keys, each with one of `values` equally likely values, one key asked for.

Success is that of the worst query against an adversary who knows the algorithm but not its random draw.
"""

from math import comb


def random_store(k: int, n: int, values: int) -> float:
    """Keep k of n pairs, chosen at random, and guess the others: k/n + (1 - k/n)/values for every query.

    A deterministic choice has a query that is only guessed. Not an upper bound for memories of other kinds.

    Raises:
        ValueError: not 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k pairs of n can be stored for 0 <= k <= n, but k is {k} and n is {n}")
    return k / n + (1 - k / n) / values


def pooled_random_stores(runs: int, k: int, n: int, values: int) -> float:
    """Runs that each keep k of n pairs, chosen at random and independently, say what they know and else nothing: the value is
    guessed where none of them kept it, 1 - (1 - k/n)^runs (1 - 1/values) for every query.
    """
    none = 1 - random_store(k, n, values)  # of one run: not kept, and guessed wrong
    return 1 - none * (1 - k / n) ** (runs - 1)


def one_bit_majority(n: int) -> float:
    """One bit of memory for n bits, n odd or even: store the majority of the bits xor a random string that is also known
    at the query, and answer with it: 1/2 + C(n-1, floor((n-1)/2)) / 2^n for every query and every store.

    The n noisy bits are uniform, so a query agrees with the majority as often as any voter agrees with a fair vote.
    """
    return 0.5 + comb(n - 1, (n - 1) // 2) / 2**n


def linear_readout_error(d: int, n: int) -> float:
    """Smallest worst-query mean squared error of reading n unit-variance values back linearly from d numbers: 1 - d/n.

    The map R from n values to n answers has rank d, and the errors of all queries sum to |I - R|² >= n - d (Eckart, Young).
    """
    return max(0.0, 1 - d / n)
