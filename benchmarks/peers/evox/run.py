"""EvoX: its OpenES in its StdWorkflow, through its documented interface.

Variants: `eager`, and `compiled`: torch.compile(workflow.step), as its documentation recommends. It has no ranks, so they
are the workflow's fitness transform.
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
        self._step = torch.compile(self.workflow.step) if config.variant == "compiled" else self.workflow.step

    def case_losses(self, weights, cycles, noise):
        return plain_torch.case_losses(weights, cycles, noise)

    def generation(self):
        with torch.no_grad():
            self._step()
        return float(self.problem.mean)

    def centre(self):
        return self.algorithm.center.detach().numpy()


if __name__ == "__main__":
    serve(Evox, ("evox", "torch"))
