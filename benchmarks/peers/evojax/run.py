"""EvoJAX: its PGPE with a fixed step size and Adam, a VectorizedTask and a PolicyNetwork as in its examples.

Two CPU devices, one per core, over which its simulation manager spreads the population by itself.
"""

import jax
import jax.numpy as jnp
import numpy as np
import plain_jax
from evojax.algo import PGPE
from evojax.policy.base import PolicyNetwork
from evojax.sim_mgr import SimManager
from evojax.task.base import TaskState, VectorizedTask
from flax.struct import dataclass
from protocol import serve


@dataclass
class Cases(TaskState):
    obs: jnp.ndarray  # tokens [member, case, node, feature]


class Colouring(VectorizedTask):
    def __init__(self, config):
        self.max_steps = 1
        self.obs_shape = (config.instances * config.seeds, plain_jax.NODES, plain_jax.NODES + 1)
        self.act_shape = (config.instances * config.seeds, plain_jax.NODES, plain_jax.COLOURS)
        self.multi_agent_training = False

        def reset(key):
            cycles, noise = plain_jax.batch(key, config.instances, config.seeds)
            pairs = jax.vmap(lambda cycle: jax.vmap(lambda seed: plain_jax.tokens_of(cycle, seed))(noise))(cycles)
            return Cases(obs=pairs.reshape(self.obs_shape))

        def step(state, logits):
            losses = jax.vmap(plain_jax.loss_of_logits)(logits).reshape(config.instances, config.seeds)
            return state, -plain_jax.objective(losses, config.q), jnp.ones(())

        self._reset, self._step = jax.jit(jax.vmap(reset)), jax.jit(jax.vmap(step))

    def reset(self, key):
        return self._reset(key)

    def step(self, state, action):
        return self._step(state, action)


class Transformer(PolicyNetwork):
    def __init__(self, parameters):
        self.num_params = parameters

        def logits(flat, tokens):
            weights = plain_jax.unflatten(flat)
            return jax.vmap(lambda one: plain_jax.model(weights, one))(tokens)

        self._logits = jax.vmap(logits)

    def get_actions(self, t_states, params, p_states):
        return self._logits(params, t_states.obs), p_states


class Evojax:
    def __init__(self, config, centre):
        jax.tree_map = jax.tree.map  # JAX dropped the name, which EvoJAX 0.2.17 calls where there are several devices
        task, policy = Colouring(config), Transformer(len(centre))
        self.solver = PGPE(
            pop_size=config.population,
            param_size=len(centre),
            init_params=centre,
            optimizer="adam",
            optimizer_config={
                "center_lr_decay_steps": 1
            },  # else its Adam corrects every step's bias as the first one's
            center_learning_rate=config.learning_rate,
            stdev_learning_rate=0.0,
            init_stdev=config.std,
            seed=config.seed,
        )
        self.manager = SimManager(
            n_repeats=1,
            test_n_repeats=1,
            pop_size=config.population,
            n_evaluations=jax.local_device_count(),
            policy_net=policy,
            train_vec_task=task,
            valid_vec_task=task,
            seed=config.seed,
        )

    def case_losses(self, weights, cycles, noise):
        return np.asarray(plain_jax.case_losses(weights, cycles, noise))

    def generation(self):
        scores, _ = self.manager.eval_params(self.solver.ask(), test=False)
        self.solver.tell(scores)
        return -np.asarray(scores).mean()

    def centre(self):
        return np.asarray(self.solver.best_params)


if __name__ == "__main__":
    serve(Evojax, ("evojax", "jax"))
