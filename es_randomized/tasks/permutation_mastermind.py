"""Guess a hidden permutation from how many places of every guess agree with it (permutation Mastermind, arXiv:2103.02527).

An instance is the secret, one of the n! permutations. A guess is a permutation too; its answer is the number of places that
hold the right value, and n of them end the game. The policy sees its seed, its last guess and the answer to it; it returns a
score for every value in every place, and guesses the permutation with the largest sum. The loss is the number of guesses,
the right one included, and `guesses` + 1 where none was right.
"""

import math
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from pydantic import Field

from es_randomized.input_kinds import InputKinds
from es_randomized.policy import Interface, Policy
from es_randomized.references import mastermind
from es_randomized.settings import settings
from es_randomized.tasks.acting import act, answer_of, mixed, noise_of, repeat
from es_randomized.tasks.decisions import Decisions
from es_randomized.tasks.measure import Bounds, Measure
from es_randomized.tasks.task import Outcome, Reference, Task


class MastermindCases(NamedTuple):
    """What is to be guessed: the secrets, as numbers of permutations, and the seeds."""

    secrets: Int[Array, " case"]
    seeds: Float[Array, "noise case"]


@settings
class PermutationMastermind(Task):
    """Mastermind with permutations.

    Attributes:
        n: places, and values.
        guesses: at most.
        noise_width: standard normal numbers per seed, shown on every token.
    """

    n: Annotated[int, Field(ge=2, le=mastermind.LARGEST_N)] = 4
    guesses: Annotated[int, Field(ge=1)] = 8
    noise_width: Annotated[int, Field(ge=1)] = 16

    version: ClassVar[int] = 1
    differentiable: ClassVar[bool] = False

    @property
    def interface(self) -> Interface:
        features = self.noise_width + self.n**2 * (self.n - 1) + self.guesses
        return Interface(features, self.n**2, horizon=self.guesses, seed_features=range(self.noise_width))

    @property
    def tokens(self) -> int:
        return self.guesses

    @property
    def loss_bounds(self) -> Bounds:
        return Bounds(1.0, float(self.guesses + 1))

    @property
    def measure(self) -> Measure:
        return Measure("loss", "guesses", self.loss_bounds)

    @property
    def kinds(self) -> InputKinds:
        """The secret, with its permutation matrix less the mean one; a seed is its numbers."""
        matrices = np.eye(self.n, dtype=np.float32)[mastermind.codes(self.n)] - 1 / self.n
        return InputKinds(
            len(matrices), lambda secrets: secrets, lambda seeds: seeds, matrices.reshape(-1, self.n**2).T
        )

    def sample(self, key: Key[Array, ""], count: int) -> Int[Array, "{count}"]:
        """Uniform secrets."""
        return jax.random.randint(key, (count,), 0, math.factorial(self.n))

    def enumerate(self) -> Int[np.ndarray, " instance"]:
        return np.arange(math.factorial(self.n), dtype=np.int32)

    def seeds(self, key: Key[Array, ""], count: int) -> Float[Array, "noise {count}"]:
        return jax.random.normal(key, (self.noise_width, count))

    def observe(self, bundles: Int[Array, " case"], seeds: Float[Array, "noise case"]) -> MastermindCases:
        """The secrets and the seeds; everything else depends on what the policy does."""
        return MastermindCases(bundles, seeds)

    def rollout(self, policy: Policy, observations: MastermindCases) -> Outcome:
        """Loss: guesses; success: guessed in time; answer: a hash of all guesses."""
        return self._play(policy, observations, None)[0]

    def sampled_rollout(
        self, policy: Policy, observations: MastermindCases, key: Key[Array, ""]
    ) -> tuple[Outcome, Decisions]:
        """The same with guesses sampled from the softmax of the permutations' sums, and all decisions."""
        outcome, made = self._play(policy, observations, key)
        acts, active, before = made
        to_come = outcome.loss[None] - before.astype(jnp.float32)[:, None]
        return outcome, Decisions(acts.log_chance[:, None], active[:, None], to_come, acts.entropy[:, None])

    def references(self) -> list[Reference]:
        """The randomized value, which is the best average too, and classical strategies, in guesses."""
        blind = _alike("every permutation in a random order", mastermind.blind_guesses(self.n, self.guesses))
        if self.n > mastermind.LARGEST_SOLVED:
            return [blind]
        game = self.n, self.guesses
        fixed = Reference(
            "best deterministic worst case", None, None, float(mastermind.best_worst_case(*game)), "exact"
        )
        fitting = _alike("random guesses that fit all answers", mastermind.random_fitting_guesses(*game))
        return [_alike("exact minimax", mastermind.best_average(*game)), fixed, fitting, blind]

    def _play(self, policy: Policy, cases: MastermindCases, key: Key[Array, ""] | None) -> Any:
        """The outcome, and where there is a key what was done in every step, by whom, after how many guesses."""
        answers, count, dtype = mastermind.answers(self.n), cases.secrets.shape[0], cases.seeds.dtype
        codes = jnp.asarray(np.eye(self.n)[mastermind.codes(self.n)].reshape(-1, self.n**2), dtype)

        def step(time: Int[Array, ""], noise: Any, state: Any) -> Any:
            token, active, memory, made, path = state
            scores, memory = policy.step(memory, token, time, active)
            sums = jnp.matmul(codes, scores, precision=jax.lax.Precision.HIGHEST)
            guess, acts = act(sums, noise)
            agreeing = jnp.asarray(answers)[guess, cases.secrets]
            token = self._token(cases.seeds, codes[guess].T, agreeing, time + 1)
            path = jnp.where(active, mixed(path, guess + 1), path)
            after = token, active & (agreeing < self.n), memory, made + active.astype(jnp.int32), path
            return after, (acts, active, made)

        zeros = jnp.zeros(count, jnp.int32)
        first = self._token(cases.seeds, jnp.zeros((self.n**2, count), dtype), zeros, jnp.int32(0))
        state = first, zeros == 0, policy.empty(count), zeros, zeros.astype(jnp.uint32)
        noise = noise_of(key, jnp.arange(self.guesses), len(codes), count)
        (_, lost, _, made, path), steps = repeat(step, state, self.guesses, noise)
        loss = (made + lost.astype(jnp.int32)).astype(jnp.float32)
        return Outcome(loss[None], ~lost[None], answer_of(path)[None]), steps

    def _token(
        self,
        seeds: Float[Array, "noise case"],
        guess: Float[Array, "entry case"],
        answer: Int[Array, " case"],
        time: Any,
    ) -> Float[Array, "feature case"]:
        """The seed, the guess as a matrix among zeros in the place that its answer says, and how many there were."""
        said = jax.nn.one_hot(answer, self.n - 1, axis=0, dtype=seeds.dtype)
        placed = (said[:, None] * guess[None]).reshape(-1, guess.shape[1])
        clock = jax.nn.one_hot(jnp.broadcast_to(time, answer.shape), self.guesses, axis=0, dtype=seeds.dtype)
        return jnp.concatenate([seeds, placed, clock])


def _alike(name: str, guesses: Any) -> Reference:
    return Reference(name, float(guesses), float(guesses), float(guesses), "exact")
