"""An address where no Ray answers is refused in a stated time, and one that lets anybody in is warned of."""

import importlib.util
import socket
import subprocess
import sys
import time

import pytest

from coevo.errors import ConfigError
from coevo.search.runners import address
from coevo.search.runners.ray import RayRunner

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed")


@pytest.fixture
def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]  # bound and not listening: refused


@needs_ray
def test_nobody_listens(free_port, monkeypatch):
    with pytest.raises(ConfigError, match=r"nobody answered at .*'127\.0\.0\.1:\d+'; waited 1 s .*Refused.*_WAIT_S"):
        RayRunner(1, f"127.0.0.1:{free_port}", wait_s=1.2).connect()
    monkeypatch.setenv("COEVO_RAY_WAIT_S", "0.6")
    begun = time.monotonic()
    with pytest.raises(ConfigError, match="nobody answered at"):
        RayRunner(1, f"ray:127.0.0.1:{free_port}".removeprefix("ray:")).connect()
    assert time.monotonic() - begun < 30


@needs_ray
def test_a_listener_that_is_no_ray_is_refused_in_the_stated_time():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=r"something listens at .* but it did not answer as Ray does; waited 2 s"):
            RayRunner(1, f"127.0.0.1:{port}", wait_s=2.0).connect()


@pytest.mark.parametrize("text", ["here", "10.0.0.7", ":6379", "10.0.0.7:port"])
def test_what_is_no_address(text):
    with pytest.raises(ConfigError, match=r"expected HOST:PORT, ray://HOST:PORT or auto, got "):
        address.reach(text, 1.0)


@pytest.mark.parametrize("given", ["0", "-1", "soon", "inf", "nan"])
def test_a_wait_that_is_none(given, monkeypatch):
    monkeypatch.setenv("COEVO_RAY_WAIT_S", given)
    with pytest.raises(ConfigError, match=f"COEVO_RAY_WAIT_S: expected seconds above 0, got '{given}'"):
        address.waiting_time_s(None)
    assert address.waiting_time_s(3) == 3
    with pytest.raises(ConfigError, match="wait_s: expected seconds above 0, got True"):
        address.waiting_time_s(True)


@pytest.mark.parametrize(
    ("host", "with_token", "without", "warned"),
    [
        ("10.0.0.7", "{}", "{}", True),
        ("10.0.0.7", "{}", '{"refused": "AuthenticationError: Unauthenticated"}', False),
        ("head.example.org", "{}", "{}", True),
        ("127.0.0.1", "{}", "{}", False),
        ("localhost", "{}", "{}", False),
        ("[::1]", "{}", "{}", False),
    ],
)
def test_who_lets_anybody_in_beyond_loopback_is_warned_of(monkeypatch, host, with_token, without, warned):
    def knocking(at, environment=None):
        answer = without if environment == {"RAY_AUTH_MODE": "disabled"} else with_token
        return subprocess.Popen([sys.executable, "-c", f"print('{answer}')"], stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(address, "_listens", lambda *_: None)
    monkeypatch.setattr(address, "_knocking", knocking)
    warning = address.reach(f"{host}:6379", 30.0)
    assert (f"DANGER: Ray at {host} lies beyond loopback" in warning) == warned
    assert ("RAY_AUTH_MODE=token" in warning and "private network" in warning) == warned


def test_a_cluster_that_cannot_be_joined_says_why(monkeypatch):
    def knocking(at, environment=None):
        return subprocess.Popen([sys.executable, "-c", answer], stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(address, "_listens", lambda *_: None)
    monkeypatch.setattr(address, "_knocking", knocking)
    answer = """print('{"refused": "AuthenticationError: RPC error: Unauthenticated"}')"""
    with pytest.raises(ConfigError, match=r"asks for a token, and RAY_AUTH_MODE=token with its RAY_AUTH_TOKEN is not"):
        address.reach("10.0.0.7:6379", 30.0)
    answer = "raise SystemExit(3)"
    with pytest.raises(ConfigError, match=r"cannot be joined .*the attempt ended with code 3"):
        address.reach("10.0.0.7:6379", 30.0)


@pytest.mark.skipif(importlib.util.find_spec("grpc") is not None, reason="Ray's client is installed")
def test_ray_client_is_named_where_it_is_missing():
    with pytest.raises(ConfigError, match=r"needs Ray's client: pip install 'ray\[client\]'"):
        address.reach("ray://10.0.0.7:10001", 1.0)
