"""EvoX: its OpenES in its StdWorkflow, through its documented interface.

Variants: `eager`, and `compiled`: torch.compile(workflow.step), as its documentation recommends. It has no ranks, so they
are the workflow's fitness transform. Its Adam does not correct the bias of its moments (its first steps are 3 to 6 times the
learning rate), so the correction goes into the learning rate, where its state has one.
"""

import plain_torch
import torch
from evox.algorithms import OpenES
from evox.core import Problem
from evox.workflows import StdWorkflow
from protocol import serve


class Colouring(Problem):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.mean = torch.zeros(())

    def evaluate(self, pop):
        config = self.config
        tokens = plain_torch.tokens_of(*plain_torch.batch(config.instances, config.seeds))

        def one(flat):
            return plain_torch.objective(flat, tokens, config.seeds, config.q)

        losses = torch.func.vmap(one)(pop)
        self.mean = losses.mean()
        return losses


class CentredRanks(torch.nn.Module):
    def forward(self, losses):
        return losses.argsort().argsort().to(torch.float32) / (len(losses) - 1) - 0.5


def bias_correction(steps):
    """What Adam multiplies its learning rate by (Kingma & Ba 2015, section 2)."""
    return (1 - 0.999**steps) ** 0.5 / (1 - 0.9**steps)


class Evox:
    def __init__(self, config, centre):
        torch.manual_seed(config.seed)
        self.algorithm = OpenES(
            pop_size=config.population,
            center_init=torch.as_tensor(centre),
            learning_rate=config.learning_rate,
            noise_stdev=config.std,
            optimizer="adam",
            mirrored_sampling=True,
        )
        self.problem = Colouring(config)
        self.workflow = StdWorkflow(self.algorithm, self.problem, fitness_transform=CentredRanks())
        state = self.algorithm.state_dict().values()
        self.rate = next(
            (one for one in state if one.numel() == 1 and abs(float(one) - config.learning_rate) < 1e-8), None
        )
        self.config, self.done = config, 0
        self._step = torch.compile(self.workflow.step) if config.variant == "compiled" else self.workflow.step

    def case_losses(self, weights, cycles, noise):
        return plain_torch.case_losses(weights, cycles, noise)

    def generation(self):
        self.done += 1
        with torch.no_grad():
            if self.rate is not None:
                self.rate.fill_(self.config.learning_rate * bias_correction(self.done))
            self._step()
        return float(self.problem.mean)

    def centre(self):
        return self.algorithm.center.detach().numpy()


if __name__ == "__main__":
    serve(Evox, ("evox", "torch"))
