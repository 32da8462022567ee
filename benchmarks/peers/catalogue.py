"""Which libraries are compared, and how each of them is run."""

import os
from typing import NamedTuple


class Entry(NamedTuple):
    """One way of running one library.

    Attributes:
        folder: of its script and requirements.
        variant: what its script calls it.
        how: what it is, for readers.
        python: the version it needs, if any.
        flags: XLA's.
    """

    folder: str
    variant: str
    how: str
    python: str | None = None
    flags: str = ""


PLAIN = "--xla_cpu_experimental_ynn_fusion_type="  # these fusions halve the speed of small batched products
DEVICES = f"{PLAIN} --xla_force_host_platform_device_count={os.cpu_count()}"  # one per core

OURS = ("es_randomized", "es_randomized, 2 Ray workers")

PEERS: dict[str, Entry] = {
    OURS[0]: Entry("es_randomized", "local", "load, driver_of, train; one process"),
    OURS[1]: Entry("es_randomized", "workers", "the same with one Ray worker per core"),
    "evosax": Entry("evosax", "vmap", "its README loop in one jitted program, all members vmapped", flags=PLAIN),
    "evosax, chunks": Entry("evosax", "chunks", "the same, 32 members at a time through jax.lax.map", flags=PLAIN),
    "EvoTorch": Entry("evotorch", "functional", "PGPE with Adam, torch.func.vmap over members"),
    "EvoTorch, compiled": Entry("evotorch", "compiled", "the same through torch.compile"),
    "EvoTorch, 2 actors": Entry("evotorch", "actors", "the same on two of its Ray actors, distributed=True"),
    "EvoX": Entry("evox", "eager", "OpenES in StdWorkflow"),
    "EvoX, compiled": Entry("evox", "compiled", "the same with torch.compile(workflow.step)"),
    "EvoJAX": Entry("evojax", "devices", "PGPE with Adam, VectorizedTask, one CPU device per core", flags=DEVICES),
    "shardes": Entry(
        "shardes", "iid", "Mirrored(IIDGaussian) over one CPU device per core, Adam around its update", "3.12", DEVICES
    ),
    "seed-sharing ES on Ray": Entry(
        "ray_seeds", "pinned", "arXiv:1703.03864 from its description, two pinned actors", flags=PLAIN
    ),
}
