"""evosax: ask, evaluate and tell as in its README, a generation in one jitted program of one process on all cores.

Variants: `vmap`, members vmapped as its README has it; `chunks`, 32 members at a time through `jax.lax.map`, which needs
less memory.
"""

import functools

import jax
import numpy as np
import optax
import plain_jax
from evosax.algorithms import Open_ES
from evosax.core.fitness_shaping import centered_rank_fitness_shaping_fn
from protocol import serve


class Evosax:
    def __init__(self, config, centre):
        self.config, self.key = config, jax.random.key(config.seed)
        strategy = Open_ES(
            population_size=config.population,
            solution=centre,
            optimizer=optax.adam(config.learning_rate),
            std_schedule=optax.constant_schedule(config.std),
            use_antithetic_sampling=True,
            fitness_shaping_fn=centered_rank_fitness_shaping_fn,
        )
        params = strategy.default_params
        self.state = strategy.init(self.key, centre, params)

        @jax.jit
        def generation(key, state):
            ask, evaluate, tell = jax.random.split(key, 3)
            population, state = strategy.ask(ask, state, params)
            cycles, noise = plain_jax.batch(evaluate, config.instances, config.seeds)
            fitness = functools.partial(plain_jax.fitness, cycles=cycles, noise=noise, q=config.q)
            chunk = 32 if config.variant == "chunks" else config.population
            losses = jax.lax.map(fitness, population, batch_size=chunk)
            state, _ = strategy.tell(tell, population, losses, state, params)
            return state, losses.mean()

        self._generation = generation

    def case_losses(self, weights, cycles, noise):
        return np.asarray(plain_jax.case_losses(weights, cycles, noise))

    def generation(self):
        self.key, key = jax.random.split(self.key)
        self.state, loss = self._generation(key, self.state)
        return loss

    def centre(self):
        return np.asarray(self.state.mean)


if __name__ == "__main__":
    serve(Evosax, ("evosax", "jax", "optax"))
