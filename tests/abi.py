#!/usr/bin/env python3
"""usage: tests/abi.py check|write|test DIRECTORY (of libvillas_shm.so)

Compares what a compiled program relies on with its description in tests/abi.txt: the functions of
the C header with their types, sizes and offsets of structs, and constants.

check: fails if they differ. write ("make abi"): describes what was added; refuses what breaks
programs, unless the SONAME differs too. test: shows that each kind of change is seen, on changed
copies of the header.
"""
import os
import re
import subprocess
import sys
import tempfile

HEADER, DESCRIPTION = "include/villas/shmem.h", "tests/abi.txt"
CC = os.environ.get("CC", "cc")
# Not what programs rely on: the version, and initialisers, which are compiled into them.
LEFT_OUT = re.compile(r"SHMEM_VERSION_\w+|\w+_INIT|VILLAS_SHMEM_H")


def fail(*lines):
    sys.exit("\n".join(f"abi: {line}" for line in lines))


def parts(text):
    """The text between semicolons that are in no braces."""
    depth, start = 0, 0
    for at, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if c == ";" and depth == 0:
            yield " ".join(text[start:at].split())
            start = at + 1
    if text[start:].strip():
        fail(f"does not understand {text[start:].strip()!r} in the header: extend tests/abi.py")


def declared(text):
    """Type and name of a parameter or a member."""
    found = re.fullmatch(r"([\w ]+[ *]+?)\s*(\w+)((?:\[\w*\])?)", text)
    if not found or found[2] in {"int", "char", "long", "short"}:
        fail(f"does not understand {text!r} in the header: extend tests/abi.py")
    return found[1].replace("__extension__", "").strip() + found[3], found[2]


def members(body, prefix=""):
    """Type and path of each member; no type: it is reserved, and may become others."""
    for part in parts(body):
        if nested := re.fullmatch(r"struct \{(.*)\} (\w+)", part):
            yield from members(nested[1], f"{prefix}{nested[2]}.")
        else:
            kind, name = declared(part)
            yield None if name.startswith("_") else kind, prefix + name


def described(header):
    """The lines of the description, but for the SONAME."""
    source = open(header, encoding="utf-8").read()
    text = subprocess.run([CC, "-std=c11", "-E", header], check=True, capture_output=True, text=True).stdout
    inside, own = False, []
    for line in text.splitlines():
        if marker := re.match(r'# \d+ "(.*?)"', line):
            inside = marker[1] == header
        elif inside:
            own.append(line)
    lines, prints = [], []

    def printed(what, value):
        prints.append(f'printf("{what}\\n", (long long)({value}));')

    for part in parts("\n".join(own)):
        if found := re.fullmatch(r"(struct|union) (\w+) \{(.*)\}", part):
            name = f"{found[1]} {found[2]}"
            printed(f"{name}: %lld bytes", f"sizeof({name})")
            printed(f"{name}: aligned to %lld", f"_Alignof({name})")
            for kind, member in members(found[3]):
                at = f"offsetof({name}, {member})"
                if kind:
                    printed(f"{name} at %lld: {kind} {member}", at)
                else:
                    printed(f"{name} at %lld: %lld bytes reserved", f"{at}), (long long)(sizeof((({name} *)0)->{member})")
        elif found := re.fullmatch(r"([\w ]+[ *]+?)(\w+)\((.*)\)", part):
            taken = [declared(one.strip())[0] for one in found[3].split(",") if one.strip() != "void"]
            lines.append(f"function {found[2]}: {found[1].strip()} ({', '.join(taken)})")
        elif not re.fullmatch(r"struct \w+", part):
            fail(f"does not understand {part!r} in the header: extend tests/abi.py")
    for name, parameters in re.findall(r"^#define (\w+)(\(n\))?", source, re.M):
        if not LEFT_OUT.fullmatch(name):
            use = name + (parameters and "(8)")
            printed(f"constant {use}: %lld", use)
    with tempfile.TemporaryDirectory() as out:
        program = f'#include "{os.path.abspath(header)}"\n#include <stdio.h>\nint main(void) {{\n' + "\n".join(prints) + "\n}\n"
        subprocess.run([CC, "-std=c11", "-x", "c", "-", "-o", f"{out}/print"], input=program, check=True, text=True)
        lines += subprocess.run([f"{out}/print"], check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(lines)


def soname(directory):
    tags = subprocess.run(["readelf", "-d", f"{directory}/libvillas_shm.so"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"SONAME.*\[(.*)\]", tags)
    return f"soname {found[1]}" if found else fail(f"{directory}/libvillas_shm.so has no SONAME")


def may_grow(line, new):
    """Whether it is the size of a struct that says its size itself, and is larger now."""
    found = re.fullmatch(r"(struct \w+): (\d+) bytes", line)
    grown = [int(size) for size in re.findall(rf"^{found[1]}: (\d+) bytes$", "\n".join(new), re.M)] if found else []
    return bool(grown) and grown[0] > int(found[2]) and any(re.fullmatch(rf"{found[1]} at \d+: size_t size", one) for one in new)


def has_room(line, old):
    """Whether it is no member of a struct that there was, or lies behind that, or in what was reserved."""
    member = re.fullmatch(r"(struct \w+) at (\d+): .*", line)
    size = re.search(rf"^{member[1]}: (\d+) bytes$", "\n".join(old), re.M) if member else None
    reserved = re.findall(rf"^{member[1]} at (\d+): (\d+) bytes reserved$", "\n".join(old), re.M) if member else []
    return not size or int(member[2]) >= int(size[1]) or any(0 <= int(member[2]) - int(at) < int(room) for at, room in reserved)


def compared(old, new):
    """What breaks programs that were built before, and whether anything differs."""
    gone = [line for line in old if line not in new and not line.endswith(" reserved") and not may_grow(line, new)]
    crowded = [line for line in new if line not in old and not has_room(line, old)]
    return ([] if old[0] != new[0] else gone + crowded), old != new


def check_the_checker(old):
    """Each kind of change, made in a copy of the header: a pattern, what replaces it, and the verdict."""
    breaks, adds, nothing, unknown = "breaks", "adds", "nothing", "unknown"
    changes = [
        ("a member has another type of the same size", r"int spare;", "unsigned int spare;", breaks),
        ("a member has another size", r"int polling;\n  /\*\* Samples", "long polling;\n  /** Samples", breaks),
        ("two members change places", r"int queuelen;(.*?)int samplelen;", r"int samplelen;\1int queuelen;", breaks),
        ("a member is gone", r"  int history;\n", "", breaks),
        ("a nested member is gone", r"    struct timespec received;\n", "", breaks),
        ("reserved space is smaller", r"_private\[4\];", "_private[3];", breaks),
        ("an alternative of a union is gone", r"  bool b;\n", "", breaks),
        ("a struct without a size grows", r"(struct shmem_signal \{.*?int type;)", r"\1 long more;", breaks),
        ("a struct with a size grows", r"int history;", "int history; long more;", adds),
        ("a member lies in what was padding", r"int history;", "int history; int more;", breaks),
        ("a reserved member is used", r"unsigned int _tag;", "unsigned int tag;", adds),
        ("a struct with a size grows in the middle", r"int spare;", "int spare; long more;", breaks),
        ("a parameter has another type", r"\(int errnum\)", "(long errnum)", breaks),
        ("a parameter is not const any more", r"shmem_shared_create\(const char", "shmem_shared_create(char", breaks),
        ("a parameter is new", r"\(int errnum\)", "(int errnum, int more)", breaks),
        ("a parameter has another name", r"\(int errnum\)", "(int number)", nothing),
        ("another type is returned", r"unsigned int shmem_version", "int shmem_version", breaks),
        ("a function is gone", r"unsigned int shmem_version\(void\);", "", breaks),
        ("a function is new", r"unsigned int shmem_version\(void\);", r"\g<0> int shmem_more(void);", adds),
        ("a constant has another value", r"#define SHMEM_OUT 1\b", "#define SHMEM_OUT 2", breaks),
        ("a constant is gone", r"#define SHMEM_OUT 1\n", "", breaks),
        ("a constant is new", r"#define SHMEM_OUT 1\n", r"\g<0>#define SHMEM_MORE 2\n", adds),
        ("a macro has another value", r"#define SAMPLE_LEN\(n\) ", r"\g<0>1 + ", breaks),
        ("the version is another", r"#define SHMEM_VERSION_PATCH 0", "#define SHMEM_VERSION_PATCH 7", nothing),
        ("there is something else", r"struct pool \{", r"enum more { ONE }; \g<0>", unknown),
    ]
    header = open(HEADER, encoding="utf-8").read()
    for what, pattern, replacement, verdict in changes:
        changed, count = re.subn(pattern, replacement, header, count=1, flags=re.S)
        if count == 0 or changed == header:
            fail(f'"{what}": the header has no {pattern!r} to change: choose another place')
        with tempfile.TemporaryDirectory() as out:
            copy = f"{out}/shmem.h"
            with open(copy, "w", encoding="utf-8") as file:
                file.write(changed)
            try:
                new = old[:1] + described(copy)
            except SystemExit as e:
                found = unknown if "does not understand" in str(e) else str(e)
            else:
                broken, differs = compared(old, new)
                found = breaks if broken else adds if differs else nothing
                if found == breaks and compared(old, ["soname libvillas_shm.so.9"] + new[1:]) != ([], True):
                    fail(f'"{what}" is refused though the SONAME has changed with it')
        if found != verdict:
            fail(f'"{what}" is taken for "{found}", not for "{verdict}"')
    print(f"abi: {len(changes)} kinds of changes are told apart")


os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
action, built = sys.argv[1:]
current = [soname(built)] + described(HEADER)
if action == "test":
    check_the_checker(current)
    sys.exit()
recorded = open(DESCRIPTION, encoding="utf-8").read().splitlines() if os.path.exists(DESCRIPTION) else ["none"]
broken, differs = compared(recorded, current)
if broken:
    fail(
        "programs that were built with this header before would break. Gone, or not to be there:",
        *(f"  {line}" for line in broken),
        "Now there are:",
        *(f"  {line}" for line in current if line not in recorded),
        f"Undo that, or give the library another name than {current[0].split()[1]} (build.rs), then run make abi.",
    )
if action == "write":
    with open(DESCRIPTION, "w", encoding="utf-8") as file:
        file.write("\n".join(current) + "\n")
elif differs:
    fail(
        f"{DESCRIPTION} is out of date:",
        *(f"  + {line}" for line in current if line not in recorded),
        *(f"  - {line}" for line in recorded if line not in current),
        "Run make abi, and commit it.",
    )
else:
    print(f"abi: as described, {len(current)} lines")
