"""What a model is: weights for a task's interface, and the policy that applies them. It knows no task.

A model of your own is a module with one class derived from `Model`; `init` and `policy` are all it must define.
Its policy derives from `Policy`, or from `Memoryless` where the output for a node depends on that node's token alone.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import replace

import jax
from jaxtyping import Array, Key

from es_randomized.connectivity import Ring
from es_randomized.errors import ConfigError
from es_randomized.models.units import Units
from es_randomized.policy import Interface, Memory, Policy, Weights
from es_randomized.precision import Precision


class Model(ABC):
    """A family of policies. Implementations are frozen settings; `kind` is the name of their module.

    Attributes:
        precision: of the operands of matrix products; a model that offers bfloat16, or float64 for all that policies and
            losses compute, has it among its settings.
    """

    precision: Precision = "float32"

    @abstractmethod
    def init(self, key: Key[Array, ""], interface: Interface) -> Weights:
        """Fresh float32 weights for a task: a pytree of vectors and of matrices `[*stack, out, in]`."""

    @abstractmethod
    def policy(self, weights: Weights, interface: Interface) -> Policy:
        """The policy that applies these weights.

        Args:
            weights: as `init` makes them, but a matrix may be a `Perturbed` one, which knows `matrix @ x`, `.mT`,
                `.shape`, `* number` and iteration over a stack (es_randomized/perturbed.py).
        """

    def trained(self, weights: Weights, interface: Interface) -> list[Policy]:
        """The policies whose mean loss is trained; by default the policy itself, which is what is evaluated."""
        return [self.policy(weights, interface)]

    def pure(self, weights: Weights) -> list[Weights]:
        """The deterministic policies among which seeds choose, each as weights of this model under which every seed chooses it;
        none by default, where seeds do not choose among a few."""
        return []

    def flops(self, interface: Interface) -> int:
        """Floating-point operations of the matrix products for one token; a multiply and an add count two.

        By default every weight is used once.
        """
        return 2 * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.shapes(interface)))

    def bytes_per_case(self, interface: Interface) -> int:
        """Bytes of a case's widest activation, all its nodes together, or of its memory where that is larger.

        Cases are evaluated in tiles of such a size that this stays in a core's cache. By default an activation is as wide
        as the longest axis of the weights.
        """
        longest = max(size for leaf in jax.tree.leaves(self.shapes(interface)) for size in leaf.shape)
        return 4 * interface.nodes * longest

    def memory(self, interface: Interface) -> int:
        """Numbers that a policy remembers of a case when it is given its tokens one by one; 0 on graphs, where they have no
        order, and where it cannot take them so."""
        if isinstance(interface.connectivity, Ring):
            return 0
        silent = interface.connectivity.silent
        seen = silent + 1 if silent else interface.nodes  # a reader of a store is the token after it

        def empty() -> Memory:
            one_by_one = replace(interface, horizon=max(interface.horizon, seen))
            return self.policy(self.init(jax.random.key(0), interface), one_by_one).empty(1)

        try:
            return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(empty)))
        except NotImplementedError:
            return 0

    def receptive_field(self, interface: Interface) -> int | None:
        """How many steps away from a node its output can depend on, or None where that is not limited or not known.

        A number is a promise on which evaluation builds: on a ring of any length above twice this number a node's output is
        the same function of the nodes so far away, and the same for both directions in which they can be read.
        """
        return None

    def interchangeable(self, interface: Interface) -> list[Units]:
        """Units that may swap their places without a change of any output; by default none are known."""
        return []

    def dropout(self, weights: Weights, key: Key[Array, ""], rate: float) -> Weights:
        """The weights without a random share `rate` of the model's hidden units, the others scaled up to make up for it.

        Raises:
            ConfigError: the model has nothing to drop.
        """
        raise ConfigError(
            f"{type(self).__name__} says of none of its units how to drop them, so dropout cannot be used"
        )

    def check(self, interface: Interface) -> None:
        """Look at what a task asks for before anything is compiled.

        Raises:
            ConfigError: this model cannot do it; the message says what it can do.
        """

    def shapes(self, interface: Interface) -> Weights:
        """The weights' shapes and types, as a pytree of `jax.ShapeDtypeStruct`; nothing is computed."""
        return jax.eval_shape(lambda: self.init(jax.random.key(0), interface))
