#!/usr/bin/env python3
"""usage: structure.py [--check]
How the library is built: what its files import from each other, and what beside the product stands
among them. With --check ends with 1 where a measure is beyond its bound, and says what to look at.

A room is a folder or file directly in `src`; an arrow leads from a room to one that it imports.
What a `mod.rs` hands on counts as an import of the file that has it."""

import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
source = root / "src"
BESIDE = {"lib", "tests"}  # what hands on, and what only tests need


def product(text):
    """A file without comments and its own unit tests."""
    text = re.split(r"#\[cfg\(test\)\]\s*mod tests \{", text)[0]
    return "\n".join(line.split("//")[0] for line in text.splitlines())


def module(path):
    parts = list(path.relative_to(source).with_suffix("").parts)
    return tuple(parts[:-1] if parts[-1] == "mod" else parts)


files = {module(path): path for path in sorted(source.rglob("*.rs"))}
code = {name: product(path.read_text()) for name, path in files.items()}


def tree(text):
    """The paths of a use tree: `a::{b, c::d as e}` gives a::b and a::c::d, each with its last name."""
    text = text.strip()
    if "{" not in text:
        path, _, name = text.partition(" as ")
        parts = tuple(part.strip() for part in path.split("::"))
        yield parts, (name.strip() or parts[-1])
        return
    head, rest = text.split("{", 1)
    head = tuple(part.strip() for part in head.split("::") if part.strip())
    depth, item = 0, ""
    for char in rest[: rest.rindex("}")] + ",":
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            if item.strip():
                for path, name in tree(item):
                    yield head + path, name
            item = ""
        else:
            item += char


def absolute(path, here):
    """A path from the crate's root; None: of another crate."""
    path = list(path)
    if path[0] == "crate":
        return tuple(path[1:])
    if path[0] == "self":
        return here + tuple(path[1:])
    if path[0] == "super":
        base = here
        while path and path[0] == "super":
            base, path = base[:-1], path[1:]
        return base + tuple(path)
    if here + (path[0],) in files:
        return here + tuple(path)
    return None


def uses(name):
    for found in re.finditer(r"(pub(?:\([a-z]+\))? )?\buse ([^;]+);", code[name]):
        for path, alias in tree(found.group(2)):
            target = absolute(path, name)
            if target is not None:
                yield bool(found.group(1)), target, alias


handed_on = {name: {alias: target for public, target, alias in uses(name) if public} for name in files}


def file_of(target):
    """The file in which what a path names is defined."""
    for _ in range(10):
        length = max((n for n in range(len(target) + 1) if target[:n] in files), default=None)
        if length is None:
            return None
        name, rest = target[:length], target[length:]
        if rest and rest[0] in handed_on[name]:
            target = handed_on[name][rest[0]] + rest[1:]
            continue
        return name
    return None


def imports(name):
    """Files that this one imports, by `use` or by a path in the code."""
    targets = [target for public, target, _ in uses(name) if not (public and files[name].name == "mod.rs")]
    body = re.sub(r"(pub(?:\([a-z]+\))? )?use [^;]+;", "", code[name])
    for path in re.findall(r"\b((?:crate|super)(?:::\w+)+)", body):
        target = absolute(path.split("::"), name)
        if target is not None:
            targets.append(target)
    found = {file_of(target) for target in targets}
    return {other for other in found if other is not None and other != name and other != () and other != ("lib",)}


def room(name):
    return name[0] if name else "lib"


graph = {name: imports(name) for name in files if room(name) not in BESIDE}
graph = {name: {other for other in others if other in graph} for name, others in graph.items()}

floors = [line.split()[0] for line in (root / "ARCHITECTURE.md").read_text().split("```floors\n")[1].split("```")[0].splitlines()]
arrows = {(room(name), room(other)) for name, others in graph.items() for other in others if room(name) != room(other)}
up = {arrow for arrow in arrows if floors.index(arrow[0]) > floors.index(arrow[1])}


def circles():
    """Tarjan's strongly connected components of more than one file."""
    index, low, stack, found = {}, {}, [], []
    sys.setrecursionlimit(10_000)

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            members = []
            while not members or members[-1] != name:
                members.append(stack.pop())
            if len(members) > 1:
                found.append(sorted(members))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def lines(pattern):
    """Lines of the product's files that match."""
    return [f"{path.relative_to(root)}:{number}" for name, path in files.items() if room(name) != "tests"
            for number, line in enumerate(path.read_text().splitlines(), 1) if re.search(pattern, line)]


loops = circles()
across = [loop for loop in loops if len({room(name) for name in loop}) > 1]
largest = max(loops, key=len, default=[])
own_tests = sum(len(path.read_text().splitlines()) - len(code[name].splitlines()) for name, path in files.items() if room(name) != "tests")
tests = sum(len(path.read_text().splitlines()) for name, path in files.items() if room(name) == "tests")
total = sum(len(path.read_text().splitlines()) for path in files.values())
loom = lines(r"cfg.*\bloom\b")
outside = [line for line in loom if not line.startswith(("src/protocol/", "src/lib.rs"))]
features = sorted({line.split(":")[0] for line in lines(r'feature = "_test_')})
long = [f"{path.relative_to(root)} ({len(path.read_text().splitlines())})" for path in files.values()
        if len(path.read_text().splitlines()) > 500]

path = lambda name: "/".join(name)
measures = [
    ("rooms of src", len({room(name) for name in graph}), 17, []),
    ("arrows between rooms", len(arrows), 80, []),
    ("arrows that run up", len(up), 0, [f"{a} -> {b}" for a, b in sorted(up)]),
    ("circles across rooms", len(across), 0, [", ".join(map(path, loop)) for loop in across]),
    ("files of the largest circle", len(largest), 4, [", ".join(map(path, loop)) for loop in loops if len(loop) > 4]),
    ("lines with cfg(loom)", len(loom), 25, []),
    ("of them outside protocol", len(outside), 0, outside),
    ("files with a feature of tests", len(features), 3, features),
    ("files above 500 lines", len(long), 0, long),
]
wrong = False
for what, value, most, why in measures:
    print(f"{what:32} {value:4}   at most {most}")
    if value > most:
        wrong = True
        for line in why:
            print(f"    {line}")
print(f"{'lines of src':32} {total:4}   {tests} in src/tests, {own_tests} in unit tests beside the code")
if wrong and "--check" in sys.argv[1:]:
    sys.exit("structure: a measure is beyond its bound; ARCHITECTURE.md says how the library is built")
