"""The same task and model as a user of PyTorch would write them: any leading axes, features last."""

import math

import torch
import torch.nn.functional as functional

NODES, COLOURS, WIDTH, HIDDEN, BLOCKS, KEY = 10, 3, 16, 64, 2, 16
BLOCK = {
    "down": (WIDTH, HIDDEN),
    "down_bias": (WIDTH,),
    "key": (KEY, WIDTH),
    "output": (WIDTH, KEY),
    "query": (KEY, WIDTH),
    "up": (HIDDEN, WIDTH),
    "up_bias": (HIDDEN,),
    "value": (KEY, WIDTH),
}
ENDS = {"embed": (WIDTH, NODES + 1), "readout": (COLOURS, WIDTH), "readout_bias": (COLOURS,)}


def unflatten(flat):
    """Flat weights [param] as one dictionary per block and one for the ends."""
    shapes = [*[BLOCK] * BLOCKS, ENDS]
    sizes = [math.prod(shape) for part in shapes for shape in part.values()]
    pieces = iter(torch.split(flat, sizes))
    return [{name: next(pieces).view(shape) for name, shape in part.items()} for part in shapes]


def norm(x):
    """Layer norm without parameters over the last axis."""
    return functional.layer_norm(x, (WIDTH,), eps=1e-6)


def model(flat, tokens):
    """Logits [case, node, colour] of tokens [case, node, feature]."""
    *blocks, ends = unflatten(flat)
    x = tokens @ ends["embed"].T
    for block in blocks:
        normed = norm(x)
        query, key, value = (normed @ block[name].T for name in ("query", "key", "value"))
        keys = torch.stack([torch.roll(key, 1, -2), torch.roll(key, -1, -2)])
        values = torch.stack([torch.roll(value, 1, -2), torch.roll(value, -1, -2)])
        attention = torch.softmax((keys * query).sum(-1) / KEY**0.5, dim=0)
        x = x + (attention[..., None] * values).sum(0) @ block["output"].T
        hidden = functional.gelu(norm(x) @ block["up"].T + block["up_bias"], approximate="tanh")
        x = x + hidden @ block["down"].T + block["down_bias"]
    return norm(x) @ ends["readout"].T + ends["readout_bias"]


def batch(instances, seeds):
    """Fresh cycles [instance, position] and seeds [seed, vertex]."""
    return torch.rand(instances, NODES).argsort(dim=1), torch.rand(seeds, NODES)


def tokens_of(cycles, noise):
    """Tokens [case, node, feature] of all cycles with all seeds, cycle-major."""
    instances, seeds = len(cycles), len(noise)
    vertices = cycles[:, None].expand(instances, seeds, NODES).reshape(-1, NODES)
    shares = noise[None].expand(instances, seeds, NODES).reshape(-1, NODES).gather(1, vertices)
    one_hot = functional.one_hot(vertices, NODES).to(noise.dtype)
    return torch.cat([one_hot, shares[..., None]], dim=-1)


def losses_of(flat, tokens):
    """The loss of every case [case] for one member: the sum over edges of the probability that both ends agree."""
    chances = torch.softmax(model(flat, tokens), dim=-1)
    return (chances * torch.roll(chances, -1, -2)).sum((-2, -1))


def objective(flat, tokens, seeds, q):
    """The q-norm over instances of the losses averaged over seeds, of one member; lower is better."""
    means = losses_of(flat, tokens).view(-1, seeds).mean(1)
    return (means**q).mean() ** (1 / q)


def case_losses(weights, cycles, noise):
    """Losses [instance, seed] of one member, NumPy in and out."""
    tokens = tokens_of(torch.as_tensor(cycles).long(), torch.as_tensor(noise))
    return losses_of(torch.as_tensor(weights), tokens).view(len(cycles), len(noise)).numpy()


def members(seeds, q, compiled):
    """(members [member, param], tokens) -> objectives [member], compiled or not.

    Here and not in a script: actors unpickle what a script defines without its imports.
    """

    def one(flat, tokens):
        return objective(flat, tokens, seeds, q)

    every = torch.func.vmap(one, in_dims=(0, None))
    return torch.compile(every) if compiled else every
