#!/usr/bin/env python3
"""usage: dist.py [TARGET]
Packs what is committed, and every crate that a build on Linux uses, as
TARGET/dist/villas-shm-VERSION.tar.xz. The bytes follow from the commit and the versions of cargo and
liblzma, wherever the checkout lies.

Crates of other systems stay in the lock files, so cargo asks for their manifests. Only these are
packed: the rest is 300 MB of import libraries for Windows."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Each has a lock file of its own.
WORKSPACES = ["Cargo.toml", "clients/bridge/Cargo.toml", "clients/python/Cargo.toml", "fuzz/Cargo.toml"]
PLATFORMS = [f"{machine}-unknown-linux-{libc}" for machine in ("x86_64", "aarch64") for libc in ("gnu", "musl")]


def run(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"make dist: {' '.join(command)} failed:\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def cargo(*arguments, cwd):
    return run(os.environ.get("CARGO", "cargo"), *arguments, cwd=cwd).decode()


def used_on_linux(tree):
    """The crates, as name-version, that some platform's builds and tests use."""
    used = set()
    for workspace in WORKSPACES:
        for platform in PLATFORMS:
            resolved = json.loads(cargo(
                "metadata", "--locked", "--format-version=1", "--all-features",
                f"--filter-platform={platform}", f"--manifest-path={workspace}", cwd=tree))
            used |= {f"{package['name']}-{package['version']}" for package in resolved["packages"]}
    return used


def keep_manifest_only(crate):
    checksum = crate / ".cargo-checksum.json"
    package = json.loads(checksum.read_text())["package"]
    for path in crate.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "Cargo.toml":
            path.unlink()
    # Cargo looks for the library's root before it knows that nothing needs it.
    root = re.search(r'^\[lib\][^[]*^path = "(.*)"', (crate / "Cargo.toml").read_text(), re.M)
    library = crate / (root.group(1) if root else "src/lib.rs")
    library.parent.mkdir(parents=True, exist_ok=True)
    library.touch()
    checksum.write_text(json.dumps({"files": {}, "package": package}))


def vendor(tree):
    sync = [f"--sync={workspace}" for workspace in WORKSPACES[1:]]
    cargo("vendor", "--locked", "--versioned-dirs", *sync, "vendor", cwd=tree)
    # Before the configuration is there: the whole set of crates may be wider than the used one.
    used = used_on_linux(tree)
    for crate in (tree / "vendor").iterdir():
        if crate.name not in used:
            keep_manifest_only(crate)
    (tree / ".cargo").mkdir()
    (tree / ".cargo/config.toml").write_text(
        '# Every crate comes from vendor/: a build needs no network.\n'
        '[source.crates-io]\nreplace-with = "vendor"\n\n[source.vendor]\ndirectory = "vendor"\n')


def pack(tree, archive, time):
    def plain(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = time
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with tarfile.open(archive, "w:xz", format=tarfile.PAX_FORMAT, preset=6) as tar:
        tar.add(tree, tree.name, recursive=False, filter=plain)
        for path in sorted(tree.rglob("*")):
            tar.add(path, f"{tree.name}/{path.relative_to(tree)}", recursive=False, filter=plain)


def main(target="target"):
    if not (ROOT / ".git").exists():
        sys.exit(f"make dist: {ROOT} is no git checkout, so what is committed cannot be told. Make it in a clone")
    if run("git", "status", "--porcelain", "--untracked-files=no"):
        print("make dist: some changes are not committed, and not packed")
    version = re.search(r'^version = "(.*)"', run("git", "show", "HEAD:Cargo.toml").decode(), re.M).group(1)
    tree = (ROOT / target / "dist" / f"villas-shm-{version}").absolute()
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", tree], input=run("git", "archive", "HEAD"), check=True)
    vendor(tree)
    archive = tree.with_name(f"{tree.name}.tar.xz")
    pack(tree, archive, int(run("git", "log", "-1", "--format=%ct")))
    shutil.rmtree(tree)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")


main(*sys.argv[1:])
