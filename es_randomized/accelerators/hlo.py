"""What a compiled program moves, read off its text: XLA's own analysis counts a loop's body once and says nothing of GPUs.

Every instruction of the program reads its operands from main memory and writes its result there, fused ones the operands and
the result of the fusion; of an array of which only a slice is read or written, the slice counts. An array that the compiler
keeps in a chip's own memory counts nothing. Caches can make it less.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

BITS = {"pred": 8, "s4": 4, "u4": 4, "bf16": 16}
NOTHING = (
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
    "opt-barrier",
    "partition-id",
    "replica-id",
)
SLICES = ("dynamic-slice", "slice", "gather")

ARRAY = re.compile(r"(\w+)\[([\d,]*)\](?:\{([\d,]*)(?::((?:[TE]\([^)]*\)|\(\d+,\d+\))*)(?:S\((\d+)\))?[^}]*)?\})?")
INSTRUCTION = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = (\([^=]*?\)|\S+) ([\w\-]+)\((.*)$")
COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")


class Work(NamedTuple):
    """What a program does once.

    Attributes:
        bytes: moved between a device and its main memory.
        cycles: that the compiler expects, 0 where it says nothing.
        open_loops: loops that may end early; they count in full length.
    """

    bytes: float = 0.0
    cycles: float = 0.0
    open_loops: int = 0

    def plus(self, other: "Work", times: int = 1) -> "Work":
        """Both, the other one several times."""
        return Work(
            self.bytes + times * other.bytes,
            self.cycles + times * other.cycles,
            self.open_loops + other.open_loops,
        )


@dataclass(frozen=True)
class Instruction:
    """One line of a computation."""

    name: str
    root: bool
    type: str
    opcode: str
    rest: str

    @cached_property
    def operands(self) -> list[str]:
        """Their names."""
        return re.findall(r"%([\w.\-]+)", self.rest.partition(")")[0])

    def called(self, attribute: str) -> str:
        """The name of a computation that it names."""
        found = re.search(rf"{attribute}=%?([\w.\-]+)", self.rest)
        return found[1] if found else ""

    @property
    def cycles(self) -> float:
        """That the compiler expects it to take."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.rest)
        return float(found[1]) if found else 0.0

    @property
    def trips(self) -> int | None:
        """How often a loop's body runs, if that is known."""
        found = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', self.rest)
        return int(found[1]) if found else None


def bytes_of(type_: str) -> float:
    """Bytes that arrays of a type take in main memory, as they are padded there."""
    return sum(_of_array(*match.groups()) for match in ARRAY.finditer(type_))


def _of_array(kind: str, shape: str, order: str | None, tiles: str | None, space: str | None) -> float:
    if (space and space != "0") or kind in ("token", "opaque"):
        return 0.0
    sizes = [int(size) for size in shape.split(",") if size]
    minor_first = [sizes[int(axis)] for axis in (order or "").split(",") if axis] or sizes[::-1]
    tile = re.match(r"T\(([\d,]+)\)", tiles or "")
    if tile:
        units = [int(unit) for unit in reversed(tile[1].split(","))]
        minor_first += [1] * (len(units) - len(minor_first))
        minor_first = [
            -(-size // unit) * unit for size, unit in zip(minor_first, units + [1] * len(minor_first), strict=False)
        ]
    return prod(minor_first) * _bits(kind) / 8


def _bits(kind: str) -> int:
    digits = re.search(r"\d+", kind)
    return BITS.get(kind) or (int(digits[0]) if digits else 8)


class Module:
    """A compiled program from its text.

    Args:
        text: as `jax.stages.Compiled.as_text` has it.
    """

    def __init__(self, text: str) -> None:
        self._computations: dict[str, dict[str, Instruction]] = {}
        self._entry = ""
        current: dict[str, Instruction] = {}
        for line in re.sub(r"/\*.*?\*/", "", text).splitlines():
            if found := INSTRUCTION.match(line):
                current[found[2]] = Instruction(found[2], bool(found[1]), *found.groups()[2:])
            elif found := COMPUTATION.match(line):
                current = self._computations.setdefault(found[2], {})
                self._entry = found[2] if found[1] else self._entry

    @cached_property
    def work(self) -> Work:
        """Of the whole program."""
        return self._of(self._entry)

    def _of(self, name: str) -> Work:
        total = Work()
        for instruction in self._computations.get(name, {}).values():
            total = self._added(total, instruction, name)
        return total

    def _added(self, total: Work, instruction: Instruction, where: str) -> Work:
        match instruction.opcode:
            case "while":
                once = self._of(instruction.called("body")).plus(self._of(instruction.called("condition")))
                condition = instruction.called("condition")
                if self._may_end_early(condition):
                    once = once._replace(open_loops=once.open_loops + 1)
                return total.plus(once, instruction.trips or self._limit(condition))
            case "call" | "async-start":
                return total.plus(self._of(instruction.called("to_apply") or instruction.called("calls")))
            case "conditional":
                return total.plus(max(map(self._of, _branches(instruction)), key=lambda work: work.bytes))
            case opcode if opcode in NOTHING or opcode.endswith("-done"):
                return total
        return total.plus(Work(sum(self._moved(instruction, where)), instruction.cycles))

    def _may_end_early(self, condition: str) -> bool:
        """Whether a loop looks at more than its counter."""
        root = next(each for each in self._computations[condition].values() if each.root)
        if root.opcode in ("fusion", "call"):
            return self._may_end_early(root.called("calls") or root.called("to_apply"))
        return root.opcode != "compare"

    def _limit(self, condition: str) -> int:
        """The largest number that a loop's condition knows: what it compares its counter with."""
        limit = 1
        for instruction in self._computations[condition].values():
            if instruction.opcode == "constant" and re.match(r"[su]\d+\[\]", instruction.type):
                limit = max(limit, int(instruction.rest.partition(")")[0]))
            elif instruction.opcode == "fusion":
                limit = max(limit, self._limit(instruction.called("calls")))
        return limit

    def _moved(self, instruction: Instruction, where: str) -> Iterator[float]:
        """Bytes of each operand and of the result."""
        types = [self._type(operand, where) for operand in instruction.operands]
        if instruction.opcode == "copy-start":  # its result names the source as well
            yield bytes_of(types[0])
            yield bytes_of(instruction.type) - bytes_of(types[0])
        elif instruction.opcode == "fusion":
            yield from self._of_fusion(instruction, types)
        elif instruction.opcode in SLICES:
            yield 2 * bytes_of(instruction.type)
        elif instruction.opcode == "dynamic-update-slice":
            yield 2 * bytes_of(types[1])
        else:
            yield from map(bytes_of, [*types, instruction.type])

    def _of_fusion(self, instruction: Instruction, types: list[str]) -> Iterator[float]:
        inside = self._computations[instruction.called("calls")]
        users: dict[str, list[Instruction]] = {}
        for each in inside.values():
            for operand in each.operands:
                users.setdefault(operand, []).append(each)
        for each in inside.values():
            if each.opcode == "parameter":
                whole = bytes_of(types[int(each.rest.partition(")")[0])])
                yield min(whole, _read(each.name, users, inside, whole))
        roots = [each for each in inside.values() if each.root]
        written = [each for root in roots for each in _results(root, inside)]
        if any(each.opcode == "dynamic-update-slice" for each in written):
            yield sum(bytes_of(_written(each, inside)) for each in written)
        else:
            yield bytes_of(instruction.type)

    def _type(self, operand: str, where: str) -> str:
        found = self._computations[where].get(operand)
        return found.type if found else ""


def _read(name: str, users: dict[str, list[Instruction]], inside: dict[str, Instruction], whole: float) -> float:
    """Bytes that a fusion reads of one of its parameters."""
    total = 0.0
    for user in users.get(name, []):
        if user.opcode in SLICES and user.operands[0] == name:
            total += bytes_of(user.type)
        elif user.opcode == "dynamic-update-slice" and user.operands[0] == name:
            continue  # what is not replaced stays where it is
        elif user.opcode == "bitcast":
            total += _read(user.name, users, inside, whole)
        else:
            return whole
    return total


def _results(root: Instruction, inside: dict[str, Instruction]) -> list[Instruction]:
    while root.opcode == "bitcast":
        root = inside[root.operands[0]]
    return [inside[name] for name in root.operands] if root.opcode == "tuple" else [root]


def _written(result: Instruction, inside: dict[str, Instruction]) -> str:
    return inside[result.operands[1]].type if result.opcode == "dynamic-update-slice" else result.type


def _branches(instruction: Instruction) -> list[str]:
    found = re.search(r"branch_computations=\{([^}]*)\}", instruction.rest)
    if found:
        return re.findall(r"[\w.\-]+", found[1])
    return [instruction.called("true_computation"), instruction.called("false_computation")]
