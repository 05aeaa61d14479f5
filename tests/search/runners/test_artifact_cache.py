"""A node keeps what `prepare` made as long as somebody uses it, and not for ever."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import coevo
from coevo.errors import EvaluatorError
from coevo.search.runners import artifact_cache


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(artifact_cache, "_in_use", {})
    yield artifact_cache.cache_folder()
    for descriptor in artifact_cache._in_use.values():
        os.close(descriptor)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def fetched(content, log):
    return lambda: (log.append(content), content)[1]


def test_bytes_are_fetched_once_and_again_where_they_were_spoilt(home):
    log = []
    path = artifact_cache.kept(digest(b"net"), "net.bin", fetched(b"net", log))
    assert path.read_bytes() == b"net" and path.is_relative_to(home) and path.name == "net.bin"
    assert artifact_cache.kept(digest(b"net"), "net.bin", fetched(b"net", log)) == path
    assert artifact_cache.kept(digest(b"net"), "other.bin", fetched(b"net", log)).name == "other.bin"
    assert log == [b"net"] * 2  # once for each name
    artifact_cache._in_use.clear()  # as another process sees it
    path.write_bytes(b"no")
    assert artifact_cache.kept(digest(b"net"), "net.bin", fetched(b"net", log)).read_bytes() == b"net"
    assert log == [b"net"] * 3


USER = """
import sys, tempfile
from coevo.search.runners import artifact_cache
tempfile.tempdir = sys.argv[1]
print(artifact_cache.kept(sys.argv[2], "f", lambda: b"used"), flush=True)
sys.stdin.read()
"""


def test_old_and_large_entries_go_and_used_ones_stay(home, tmp_path):
    command = [sys.executable, "-c", USER, str(tmp_path), digest(b"used")]
    environment = {**os.environ, "PYTHONPATH": str(Path(coevo.__file__).parents[1])}
    user = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    try:
        assert user.stdout.readline()
        for age_days, content in ((1, b"a" * 600), (2, b"b" * 600), (3, b"used"), (30, b"c")):
            (home / digest(content)).mkdir(exist_ok=True)
            (home / digest(content) / "f").write_bytes(content)
            used_at = time.time() - age_days * 86400
            os.utime(home / digest(content), (used_at, used_at))

        def left():
            return {path.name for path in home.iterdir() if path.is_dir()}

        artifact_cache.prune(home, keep_days=14, keep_gb=1)
        assert left() == {digest(b"a" * 600), digest(b"b" * 600), digest(b"used")}
        artifact_cache.prune(home, keep_days=14, keep_gb=1000 / 1e9)
        assert left() == {digest(b"a" * 600), digest(b"used")}
        artifact_cache.prune(home, keep_days=0, keep_gb=1)
        assert left() == {digest(b"used")}, "removed under who uses it"
    finally:
        user.communicate()
    artifact_cache.prune(home, keep_days=0, keep_gb=1)
    assert list(home.iterdir()) == [], "locks of removed entries stay behind"


def test_a_folder_of_somebody_else_is_refused(home, tmp_path):
    home.rmdir()
    (tmp_path / "elsewhere").mkdir()
    home.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EvaluatorError, match="belongs to another user"):
        artifact_cache.kept(digest(b"x"), "f", lambda: b"x")
