"""shardes: ask, apply and tell in one jitted program, the population sharded over two CPU devices, one per core.

Variants: `iid`, full-rank noise as a matrix; `seeds`, full-rank noise drawn again from every member's seed, 16 members at a
time. Its rank 1 would be another search distribution than the other peers'.
"""

import jax
import numpy as np
import optax
import plain_jax
import shardes
from protocol import serve

NOISE = {
    "iid": shardes.IIDGaussian,
    "seeds": lambda: shardes.SeedRegenerated(chunk=16),
}


class Shardes:
    def __init__(self, config, centre):
        es = shardes.ShardedES(
            shardes.Mirrored(NOISE[config.variant]()),
            n=config.population,
            sigma=config.std,
            lr=1.0,
            mesh=shardes.make_mesh(),
        )
        adam = optax.adam(config.learning_rate)
        self.state = es.init(jax.random.key(config.seed), jax.numpy.asarray(centre))
        self.moments = adam.init(self.state.params)

        @jax.jit
        def generation(state, moments):
            cycles, noise = plain_jax.batch(
                jax.random.fold_in(jax.random.key(config.seed + 1), state.generation), config.instances, config.seeds
            )
            pert, asked = es.ask(state)
            fitness = es.apply(lambda flat, cases: plain_jax.fitness(flat, *cases, config.q), asked, pert)
            losses = fitness((cycles, noise))
            told = es.tell(asked, pert, losses)
            # It descends by itself, with a learning rate of 1; Adam takes that step as the gradient.
            step, moments = adam.update(asked.params - told.params, moments)
            return told._replace(params=optax.apply_updates(asked.params, step)), moments, losses.mean()

        self._generation = generation

    def case_losses(self, weights, cycles, noise):
        return np.asarray(plain_jax.case_losses(weights, cycles, noise))

    def generation(self):
        self.state, self.moments, loss = self._generation(self.state, self.moments)
        return loss

    def centre(self):
        return np.asarray(self.state.params)


if __name__ == "__main__":
    serve(Shardes, ("shardes", "jax", "optax"))
