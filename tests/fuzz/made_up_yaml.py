"""Experiments that nobody would write: any text is an experiment or one message, never a traceback."""

import datetime
import io
import random
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from es_randomized import build, dump
from es_randomized.config.yaml import parse, read_yaml
from es_randomized.errors import ConfigError
from tests.fuzz.fates import said

ROOT = Path(__file__).parents[2]
VALID = [
    read_yaml(path.read_text(), "")
    for path in sorted((ROOT / "configs").rglob("*.yaml"))
    if "task:" in path.read_text()
]
VALID += [read_yaml(path.read_text(), "") for path in sorted((ROOT / "tests" / "golden").glob("*.yaml"))]
TEXT = """
    task model objective batch driver budget evaluation plan seed phases restarts kind start end shape std optimizer learning_rate
    n q width blocks share until cycle_colouring treasure_hunt associative_recall Open_ES CMA_ES MA_ES gradient auto [red] a.b
"""
WORDS = TEXT.split()
# fmt: off
ODD = [
    0, -1, 1, 2, 3, 10**30, -(10**30), 2**31, 2**64, 0.5, 1e308, -0.0, 5e-324, float("inf"), float("nan"), "", "\x85", "{}",
    True, None, datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 1), b"\0\xff", {"a", "b"}, [], {}, [[]],
]
# fmt: on
# Text that no tree is written as.
TEXTS = [
    "",
    "a",
    "[]",
    "- 1",
    "&a [*a]",
    "a: &a {b: *a}",
    "task: &a {kind: *a}",
    "task: *b",
    "a: !!python/object:os.system {}",
    "!!binary x",
    "a: !tag 1",
    "<<: {a: 1}",
    "task: {<<: 3}",
    "? [a]\n: b",
    "? {a: 1}\n: b",
    "a: b: c",
    "\t",
    "%YAML 9.9\n---\na",
    "--- a\n--- b",
    "a: 1\na: 2",
    "\0",
    "\ufeffa: 1",
    "'",
    '"\\x"',
    "[" * 2000,
    "{a: " * 2000,
    "a: " + "9" * 5000,
    "1:1:1: 1",
    "seed: 0x10",
    "seed: 0o17",
    "seed: 1_000",
    "seed: 1e3",
    "!!set {a}",
    "!!omap [a: 1]",
    "a: 2001-99-99",
    "a: &a [x, x]\n" + "\n".join(f"{y}: &{y} [*{x}, *{x}]" for x, y in pairwise("abcdefghijklmnopqrstuvwxyz")),
    "a: 12:99:99",
]  # fmt: skip


def tree_of(chance: random.Random) -> Any:
    """A valid experiment with a few changes anywhere, or plain data that is none at all."""
    if chance.random() < 0.1:
        return chance.choice(
            [lambda: [thing(chance)], lambda: {thing(chance, 3): thing(chance)}, lambda: thing(chance)]
        )()
    tree = deepcopy(chance.choice(VALID))
    for _ in range(chance.randrange(1, 5)):
        change(tree, chance)
    return tree


def change(tree: Any, chance: random.Random) -> None:
    """Replace, add, rename or delete something in a tree of mappings and lists."""
    while isinstance(tree, dict | list) and tree:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = chance.choice(keys)
        if isinstance(tree[key], dict | list) and tree[key] and chance.random() < 0.8:
            tree = tree[key]
            continue
        match chance.randrange(5):
            case 0:
                del tree[key]
            case 1 if isinstance(tree, dict):
                tree[thing(chance, 3)] = tree[key]
            case 2 if isinstance(tree, list):
                tree.append(thing(chance))
            case _:
                tree[key] = thing(chance)
        return


def thing(chance: random.Random, depth: int = 0) -> Any:
    """Any plain data; nothing inside of it from depth 3 on."""
    match chance.randrange(6 if depth < 3 else 4):
        case 0:
            return chance.choice(WORDS)
        case 1:
            odd = chance.choice(ODD)
            return str(odd) if depth >= 3 and isinstance(odd, dict | list | set) else deepcopy(odd)
        case 2:
            return chance.choice([chance.randrange(-5, 50), chance.uniform(-2, 2), 10 ** chance.uniform(-9, 9)])
        case 3:
            return "".join(chance.choices("ab_.[]{}:'\"\\\n\té🎲", k=chance.randrange(6)))
        case 4:
            return [thing(chance, depth + 1) for _ in range(chance.randrange(3))]
        case _:
            return {thing(chance, 3): thing(chance, depth + 1) for _ in range(chance.randrange(4))}


def text_of(tree: Any, chance: random.Random) -> str:
    """YAML of a tree, one in ten with a few characters changed."""
    buffer = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    try:
        yaml.dump(tree, buffer)
    except (YAMLError, TypeError, ValueError):  # cannot be written, for example for its keys
        return repr(tree)
    text = buffer.getvalue()
    for _ in range(chance.choice([0] * 9 + [3])):
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice("{}[]:,&*!|>'\"%@`#-? \n\t\0x1") + text[place + chance.randrange(2) :]
    return text


def any_yaml(number: int) -> str:
    """The text of one example."""
    chance = random.Random(number)
    return TEXTS[number] if number < len(TEXTS) else text_of(tree_of(chance), chance)


def of_yaml(text: str) -> str:
    """What becomes of a text: an experiment that reads back the same, or one message. Anything else raises."""
    try:
        experiment = parse(text)
        experiment.batch.bundles(experiment.task)
    except ConfigError as error:
        return said(error)
    assert build(dump(experiment)) == experiment
    return "an experiment"


def fuzz_yaml(first: int, count: int) -> Iterator[str]:
    """What becomes of so many texts."""
    for number in range(first, first + count):
        text = any_yaml(number)
        try:
            yield of_yaml(text)
        except Exception as error:
            raise AssertionError(f"example {number} of YAML: {type(error).__name__}: {error}\n{text[:2000]}") from error
