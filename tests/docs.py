#!/usr/bin/env python3
"""usage: tests/docs.py

Checks the documents: the README's length, the length of lines, links and their anchors, names of
files and of targets of make, that each code block is run by a test or says why not, and that each
promise of docs/reliability.md names its proof.
"""
import glob
import os
import re
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
README_LINES, COLUMNS = 180, 100
LEFT_OUT = {"target", ".git"}
# Blocks in these languages are programs, commands or sessions.
RUN = {"c", "cpp", "rust", "python", "cmake", "sh", "console"}
RUNNERS = ["tests/readme.sh", "tests/readme-install.sh", "clients/python/tests/test_documents.py", "tests/bridge/test_documents.py",
           "tests/bridge/test_mqtt.py", "tests/zenohd.sh"]
SCRIPTS = "".join(open(name, encoding="utf-8").read() for name in RUNNERS)
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*)(?: [a-z0-9-]+)*:(?!=)", open("Makefile", encoding="utf-8").read(), re.M))
TOPS = {name for name in os.listdir(".") if os.path.isdir(name) and name not in LEFT_OUT}

wrong = []


def say(path, number, what):
    wrong.append(f"{path}:{number}: {what}")


def documents():
    for here, directories, files in os.walk("."):
        directories[:] = sorted(d for d in directories if d not in LEFT_OUT)
        yield from (os.path.normpath(os.path.join(here, f)) for f in sorted(files) if f.endswith(".md"))


def parsed(path):
    """Each line with its number, and whether it is in a code block."""
    inside = False
    for number, line in enumerate(open(path, encoding="utf-8").read().split("\n"), 1):
        if line.lstrip().startswith("```"):
            yield number, line, True
            inside = not inside
        else:
            yield number, line, inside


def anchors(path):
    """The headings of a document, as its links name them."""
    found = set()
    for _, line, inside in parsed(path):
        if not inside and line.startswith("#"):
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line.lstrip("# ")).lower()
            anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            count = sum(a == anchor or re.fullmatch(re.escape(anchor) + r"-\d+", a) is not None for a in found)
            found.add(f"{anchor}-{count}" if count else anchor)
    return found


def check_links(path, number, line):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(file):
            say(path, number, f"leads to {name}, which does not exist")
        elif anchor and file.endswith(".md") and anchor not in anchors(file):
            say(path, number, f"leads to a heading that does not exist: {target}")


def check_names(path, number, line):
    for quoted in re.findall(r"`([^`]+)`", line):
        for word in quoted.split():
            word = word.rstrip(",;")
            if word.split("/")[0] in TOPS and "/" in word and re.fullmatch(r"[\w./*-]+", word) and not glob.glob(word):
                say(path, number, f"names {word}, which does not exist")
        target = re.fullmatch(r"make ([a-z][a-z0-9-]*).*", quoted)
        if target and target[1] not in TARGETS:
            say(path, number, f"names make {target[1]}, which the Makefile does not have")


def check_blocks(path):
    before, inside = "", False
    for number, line in enumerate(open(path, encoding="utf-8").read().split("\n"), 1):
        if line.startswith("```"):
            language = line[3:].strip()
            if not inside:
                test = re.fullmatch(r"<!-- test: (\S+) -->", before)
                if test and not re.search(rf"\b{re.escape(test[1])} {re.escape(path)}", SCRIPTS):
                    say(path, number, f"the block {test[1]} is not run by any of {', '.join(RUNNERS)}")
                if language in RUN and not test and not before.startswith("<!-- not run: "):
                    say(path, number, f"a block in {language} needs <!-- test: NAME --> or <!-- not run: REASON --> before it")
            inside = not inside
        before = line


def check_promises(path):
    """Each "###" of the page ends with "Proof:" and a file."""
    heading, proved = None, True
    for number, line, inside in list(parsed(path)) + [(0, "## end", False)]:
        if inside:
            continue
        if line.startswith("#"):
            if not proved:
                say(path, heading[0], f"the promise \"{heading[1]}\" names no proof")
            proved = not line.startswith("### ")
            heading = number, line.lstrip("# ")
        elif line.startswith("Proof: ") and re.search(r"`(tests|src|clients|fuzz)/", line):
            proved = True


for document in documents():
    for at, text, code in parsed(document):
        if code:
            continue
        check_links(document, at, text)
        check_names(document, at, text)
        if len(text) > COLUMNS and not text.lstrip().startswith(("|", "<!--")) and "](" not in text and " " in text.strip("- "):
            say(document, at, f"has {len(text)} columns, at most {COLUMNS} are allowed")
    check_blocks(document)
lines = open("README.md", encoding="utf-8").read().count("\n")
if lines > README_LINES:
    say("README.md", lines, f"has {lines} lines, at most {README_LINES} are allowed")
check_promises("docs/reliability.md")
print("\n".join(wrong) if wrong else "docs: the documents hold together")
sys.exit(bool(wrong))
