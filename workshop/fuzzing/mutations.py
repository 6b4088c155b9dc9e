"""Changes of a valid file: bytes and words at random, nested values by their structure, members of archives.

A change of the structure passes what stops random bytes: checksums, lengths, quotes and brackets. A
``Reader`` is a kind of file, with its mutations.
"""

from __future__ import annotations

import copy
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes], bytes]

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
FAR_NUMBERS = (-1, -2, 2**32, 2**40, 2**63 - 1, -(2**63), 2**64, 10**30, 1e308, -1e308, 1e-320)
WORDS = (
    *"01,:;{}[]()#&*\\",
    *(
        "-1",
        "99999999",
        "99999999999999999999",
        "1" * 5000,
        "1e400",
        "-1e400",
        "nan",
        "-inf",
        "1e-400",
        "0x7f",
    ),
    *("", " ", "null", "true", "None", "''", '"', "\\u0000", "\x00", "\n", "\r", "\t", "\u2028", "\x1b[31m"),
    *("é", "\U0001f4a9", "\ud800", "\ufeff", "1_0", "&a", "*a", "<<", "---", "%s", "../..", "/dev/null"),
    *("!!python/name:os.system", "[" * 20_000, "{" * 2_000, '{"a":' * 20_000, "a" * 70_000),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, *NUMBERS[:6], *FAR_NUMBERS, 0.5, float("nan"), float("inf")),
    *("", "a", "1", "x" * 10_000, "a\nb", "\x1b[2J", "\u2028", "../../x", "/dev/null"),
    *([], {}, [None], [[]], {"a": 1}, [1, "a"], {"type": "x"}),
)
MOST_CHANGES = 4


def in_bytes(random: Random, content: bytes) -> bytes:
    """Flip, cut, drop, double, move and overwrite bytes, one to four times."""
    changed = bytearray(content)
    for _ in range(random.randint(1, MOST_CHANGES)):
        _change_bytes(random, changed)
    return bytes(changed)


def _change_bytes(random: Random, changed: bytearray) -> None:
    if not changed:
        changed += random.randbytes(random.randint(1, 64))
        return
    # headers lie at the beginning more often than not
    start = random.randrange(min(len(changed), random.choice((64, 1024, len(changed)))))
    end = min(len(changed), start + random.choice((1, 2, 4, 8, 64, 1024)))
    match random.randrange(8):
        case 0:
            changed[start] ^= 1 << random.randrange(8)
        case 1:
            del changed[start:]
        case 2:
            del changed[start:end]
        case 3:
            changed[start:start] = changed[start:end]
        case 4:
            target = random.randrange(len(changed))
            changed[target : target + end - start] = changed[start:end]
        case 5:
            changed[start:end] = random.randbytes(end - start)
        case _:
            number, size = random.choice(NUMBERS), random.choice((1, 2, 4, 8))
            order: Any = random.choice(("little", "big"))
            changed[start : start + size] = (number % 2 ** (8 * size)).to_bytes(size, order)


def in_text(random: Random, content: bytes) -> bytes:
    """Replace, drop, double and swap words, numbers and lines, one to four times."""
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(random.randint(1, MOST_CHANGES)):
        parts = (
            re.findall(r"[-+\w.]+|\s+|.", text) if random.random() < 0.75 else text.splitlines(keepends=True)
        )
        if not parts:
            return b""
        at, other = random.randrange(len(parts)), random.randrange(len(parts))
        match random.randrange(5):
            case 0:
                del parts[at]
            case 1:
                parts.insert(at, parts[at])
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case _:
                parts[at] = random.choice(WORDS)
        text = "".join(parts)
    return text.encode("utf-8", "surrogatepass" if random.random() < 0.5 else "replace")


def in_values(
    load: Callable[[bytes], Any], dump: Callable[[Any], bytes], others: Sequence[Any] = ()
) -> Mutation:
    """Return a mutation of nested dicts and lists: values replaced, keys dropped, renamed and swapped.

    Args:
        load: returns the values of a file's content.
        dump: writes them; an input that it cannot write has fewer changes.
        others: further values to put in, beside ``VALUES``.
    """

    def mutate(random: Random, content: bytes) -> bytes:
        written = content
        tree = load(content)
        for _ in range(random.randint(1, MOST_CHANGES)):
            try:
                tree = _change_values(random, copy.deepcopy(tree), (*VALUES, *others))
                written = dump(tree)
            except Exception:  # a library may copy and write less than Python holds
                break
        return written

    return mutate


def _change_values(random: Random, tree: Any, values: Sequence[Any]) -> Any:
    places = [
        (node, key) for node in _nodes(tree) for key in (node if isinstance(node, dict) else range(len(node)))
    ]
    if not places or random.random() < 0.01:
        return random.choice(values)
    node, key = random.choice(places)
    match random.randrange(8):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[random.choice((f"{key}x", "", "type", 0, "a.b", "\n"))] = node.pop(key)
        case 1:
            node.insert(key, node[key])
        case 2:
            other, place = random.choice(places)
            value = node[key]
            if place in other if isinstance(other, dict) else place < len(other):
                node[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(value)
        case 3:
            node[key] = random.choice(([node[key]], {"a": node[key]}, str(node[key])))
        case 4:
            node[key] = _nested(node[key], random.choice((50, 200)))
        case _:
            node[key] = copy.deepcopy(random.choice(values))
    return tree


def _nodes(tree: Any) -> list[Any]:
    """Return the dicts and lists of a tree, from the outside in."""
    found: list[Any] = []
    queue = [tree]
    while queue:
        node = queue.pop(0)
        if isinstance(node, (dict, list)):
            found.append(node)
            queue += node.values() if isinstance(node, dict) else node
    return found


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def in_members(inner: Mutation = in_bytes) -> Mutation:
    """Return a mutation of one member of a zip archive: changed under its checksum, renamed, left out."""

    def mutate(random: Random, content: bytes) -> bytes:
        written = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(written, "w") as other:
            chosen = random.choice(archive.infolist())
            for member in archive.infolist():
                data, way = archive.read(member), random.randrange(10)
                if member is chosen and way == 0:
                    continue
                if member is chosen:
                    member.filename += "x" if way == 1 else ""
                    member.compress_type = zipfile.ZIP_DEFLATED if way == 2 else member.compress_type
                    data = inner(random, data)
                other.writestr(member, data)
        return written.getvalue()

    return mutate


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes:
        name: as ``tools/fuzz.py`` takes it.
        make: writes a valid file, with what has to lie beside it, into an empty folder, and returns its path.
        read: reads the file as a command does; its result does not count.
        mutations: of the file's bytes, each as likely as the others.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    mutations: Sequence[Mutation] = (in_bytes,)

    def mutated(self, valid: bytes, seed: int, number: int) -> bytes:
        """Return the input of a number: the same for the same seed, whatever was read before."""
        random = Random(f"{seed}/{self.name}/{number}")
        return random.choice(self.mutations)(random, valid)
