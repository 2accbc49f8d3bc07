"""The commands and configurations of docs/bridge.md do what is said there."""

import os
import pathlib
import shutil
import sys

import hosts as lab
import pytest
from conftest import CLIENTS, ROOT, WEEK, Bridge, block, exchange, same

UP, DOWN = "lab/up", "lab/down"
A, B = "10.0.1.1", "10.0.1.2"


@pytest.fixture
def of_the_page(tmp_path, tool, bridge, monkeypatch):
    """A directory for each host, in which commands find what they need."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in (tool, tool.with_name("villas-shmem"), bridge):
        (programs / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("HOST_A", A)
    monkeypatch.setenv("HOST_B", B)
    places = []
    for name in "ab":
        places.append(tmp_path / name)
        places[-1].mkdir()
        (places[-1] / "examples").symlink_to(ROOT / "examples")
    return places


def test_two_hosts_exchange_the_week_by_the_commands_of_the_page(two, of_the_page):
    (a, b, _), (at_a, at_b) = two, of_the_page
    b.start("sh", "-ec", block("host-b docs/bridge.md"), cwd=at_b)
    a.start("sh", "-ec", block("host-a docs/bridge.md") + "kill -INT $!; wait $!", cwd=at_a).ends()


def routes(a, b, tool, client, node, tmp_path):
    at_a, at_b = node(), node()
    pipe = exchange(a, tool, at_a, WEEK, tmp_path / "back")
    Bridge(a, at_a, UP, DOWN, "-x", "--on-full", "wait", *CLIENTS[0])
    Bridge(b, at_b, DOWN, UP, "--on-full", "wait", *CLIENTS[1])
    b.start(client, "-w", "60", at_b.stem)
    pipe.ends()
    same(a, tool, WEEK, tmp_path / "back")


def test_the_router_of_the_page_routes(three, tool, client, node, tmp_path):
    a, b, r = three
    r.start(sys.executable, "-c", block("router docs/bridge.md"))
    routes(a, b, tool, client, node, tmp_path)


def test_zenohd_of_the_page_routes(three, zenohd, tool, client, node, tmp_path):
    a, b, r = three
    r.start("sh", "-ec", f"PATH={zenohd}/bin:$PATH; " + block("zenohd docs/bridge.md"))
    routes(a, b, tool, client, node, tmp_path)


def certified(host, place: pathlib.Path, address: str, authority: pathlib.Path) -> None:
    """Gives a host its files, of an authority that the commands of the page have made."""
    if not (authority / "ca.pem").exists():
        host.start("sh", "-ec", block("certificates docs/bridge.md"), cwd=authority).ends()
    shutil.copy(authority / "ca.pem", place)
    for end in ("pem", "key"):
        shutil.copy(authority / f"{address}.{end}", place / f"host.{end}")
    (place / "tls.json5").write_text(block("tls.json5 docs/bridge.md"))


@pytest.fixture
def authorities(tmp_path):
    places = tmp_path / "ours", tmp_path / "theirs"
    for place in places:
        place.mkdir()
    return places


def encrypted(host, place, conf, publish, subscribe, *options):
    return Bridge(host, conf, publish, subscribe, "--zenoh-config", "tls.json5", "--on-full", "wait", *options, cwd=place)


def test_hosts_with_certificates_of_one_authority_exchange_the_week(two, of_the_page, authorities, tool, client, node, tmp_path):
    (a, b, _), (place_a, place_b) = two, of_the_page
    certified(a, place_a, A, authorities[0])
    certified(b, place_b, B, authorities[0])
    at_a, at_b = node(), node()
    encrypted(b, place_b, at_b, DOWN, UP, "--listen", f"tls/{B}:7447")
    encrypted(a, place_a, at_a, UP, DOWN, "-x", "--connect", f"tls/{B}:7447")
    b.start(client, "-w", "60", at_b.stem)
    exchange(a, tool, at_a, WEEK, tmp_path / "back").ends()
    same(a, tool, WEEK, tmp_path / "back")


def test_another_authority_is_refused_and_said(two, of_the_page, authorities, tool, node):
    (a, b, _), (place_a, place_b) = two, of_the_page
    certified(a, place_a, A, authorities[1])
    certified(b, place_b, B, authorities[0])
    at_a, at_b = node(), node()
    listening = encrypted(b, place_b, at_b, DOWN, UP, "--listen", f"tls/{B}:7447")
    a.start(tool, "pipe", "-r", at_a, "grid")
    connecting = encrypted(a, place_a, at_a, UP, DOWN, "-x", "--connect", f"tls/{B}:7447")
    connecting.program.says("no connection to another bridge or a router: trying tls/10.0.1.2:7447")
    connecting.program.says("invalid peer certificate: BadSignature")
    plain = Bridge(a, node(), UP, DOWN, "--connect", f"tcp/{B}:7447")
    plain.program.says("no connection to another bridge or a router")
    for bridge in (connecting, plain, listening):
        lab.eventually(bridge.stats, "statistics")
        assert all(bridge.stats()[connections] == 0 for connections in ("peers", "routers"))


def test_a_certificate_of_another_authority_is_refused_by_the_listener(two, of_the_page, authorities, tool, node):
    (a, b, _), (place_a, place_b) = two, of_the_page
    certified(a, place_a, A, authorities[1])
    certified(b, place_b, B, authorities[0])
    shutil.copy(authorities[0] / "ca.pem", place_a)  # A trusts B, but not B A
    at_a, at_b = node(), node()
    encrypted(b, place_b, at_b, DOWN, UP, "--listen", f"tls/{B}:7447")
    a.start(tool, "pipe", "-r", at_a, "grid")
    connecting = encrypted(a, place_a, at_a, UP, DOWN, "-x", "--connect", f"tls/{B}:7447")
    connecting.program.says("received fatal alert")
