"""The ES of arXiv:1703.03864 written on Ray from its description: a shared table of noise, and only indices and losses sent.

Every worker knows the seeds of all, so it computes the whole update itself from the losses of all (algorithm 2 of the paper),
with mirrored sampling, centred ranks and Adam. One pinned one-core actor per core; members 16 at a time.
"""

import os

import numpy as np
import ray
from protocol import serve

TABLE = 2**24  # numbers; the paper's has 250 million
CHUNK = 16


class Worker:
    """One core: its share of the members, and the whole update."""

    def __init__(self, config, centre, core, workers, table):
        os.sched_setaffinity(0, {core})  # before JAX counts the cores: unpinned, every worker uses them all
        import jax
        import jax.numpy as jnp
        import optax
        import plain_jax

        pairs, parameters = config.population // 2, len(centre)
        mine = slice(core * pairs // workers, (core + 1) * pairs // workers)
        adam = optax.adam(config.learning_rate)
        self.centre, self.moments = jnp.asarray(centre), adam.init(jnp.asarray(centre))
        self.generation, self.table = 0, jax.device_put(table)

        def indices(generation):
            key = jax.random.fold_in(jax.random.key(config.seed), generation)
            return jax.random.randint(key, (pairs,), 0, TABLE - parameters)

        def noise_at(table, index):
            return jax.lax.dynamic_slice(table, (index,), (parameters,))

        @jax.jit
        def evaluate(table, centre, generation):
            key = jax.random.fold_in(jax.random.key(config.seed + 1), generation)
            cycles, noise = plain_jax.batch(key, config.instances, config.seeds)

            def both(index):
                z = config.std * noise_at(table, index)
                two = jnp.stack([centre + z, centre - z])
                return jax.vmap(lambda flat: plain_jax.fitness(flat, cycles, noise, config.q))(two)

            return jax.lax.map(both, indices(generation)[mine], batch_size=CHUNK // 2)

        @jax.jit
        def update(table, centre, moments, generation, losses):
            ranks = jnp.argsort(jnp.argsort(losses.ravel())) / (losses.size - 1) - 0.5
            weights = ranks.reshape(losses.shape)

            def add(pair, total):
                return total + (weights[pair, 0] - weights[pair, 1]) * noise_at(table, indices_of[pair])

            indices_of = indices(generation)
            gradient = jax.lax.fori_loop(0, pairs, add, jnp.zeros(parameters)) / (config.population * config.std)
            step, moments = adam.update(gradient, moments)
            return optax.apply_updates(centre, step), moments

        self._evaluate, self._update = evaluate, update

    def step(self, losses):
        """Take the losses of the last generation, [pair, sign] as bytes, and evaluate the next one."""
        if losses is not None:
            everybody = np.frombuffer(losses, np.float32).reshape(-1, 2)
            self.centre, self.moments = self._update(self.table, self.centre, self.moments, self.generation, everybody)
            self.generation += 1
        return np.asarray(self._evaluate(self.table, self.centre, self.generation)).tobytes()

    def weights(self, losses):
        """What the centre will be after these losses."""
        everybody = np.frombuffer(losses, np.float32).reshape(-1, 2)
        return np.asarray(self._update(self.table, self.centre, self.moments, self.generation, everybody)[0])

    def case_losses(self, weights, cycles, noise):
        import plain_jax

        return np.asarray(plain_jax.case_losses(weights, cycles, noise))


class RaySeeds:
    def __init__(self, config, centre):
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback only, see distributed/ray_internals.py
        os.environ.setdefault("RAY_worker_niceness", "0")
        cores = os.cpu_count()
        ray.init(
            address="local", num_cpus=cores, include_dashboard=False, object_store_memory=2**28, log_to_driver=False
        )
        table = ray.put(np.random.default_rng(config.seed).standard_normal(TABLE, np.float32))
        actor = ray.remote(num_cpus=1)(Worker)
        self.workers = [actor.remote(config, centre, core, cores, table) for core in range(cores)]
        self.losses = None

    def case_losses(self, weights, cycles, noise):
        return ray.get(self.workers[0].case_losses.remote(weights, cycles, noise))

    def generation(self):
        self.losses = b"".join(ray.get([worker.step.remote(self.losses) for worker in self.workers]))
        return np.frombuffer(self.losses, np.float32).mean()

    def centre(self):
        return ray.get(self.workers[0].weights.remote(self.losses))


if __name__ == "__main__":
    serve(RaySeeds, ("ray", "jax", "optax"))
