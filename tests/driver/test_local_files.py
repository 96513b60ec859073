"""What a gateway writes and frees never lies before the disk in one large heap: others sync there meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from meghdwar.driver.local import copying, files, image

AT_ONCE = 256 * 1024  # instead of the real one, so that a small file is large


class Heap:
    """Listens to what is really done to files, and keeps the most bytes that were ever under way and not synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = self.syncs = 0
        self._monkeypatch = monkeypatch
        for name in ("pwrite", "sendfile"):
            self._listen(name, lambda given, done: self._add(done))
        for name in ("fsync", "fdatasync"):
            self._listen(name, lambda given, done: self._synced())

    def _listen(self, name: str, heard: Any) -> None:
        real = getattr(os, name)

        def listening(*given: Any) -> Any:
            done = real(*given)
            heard(given, done)
            return done

        self._monkeypatch.setattr(os, name, listening)

    def _add(self, size: int) -> None:
        self.now += size
        self.most = max(self.most, self.now)

    def _synced(self) -> None:
        self.now, self.syncs = 0, self.syncs + 1


@pytest.fixture
def heap(monkeypatch: pytest.MonkeyPatch) -> Heap:
    for module in (files, copying):
        monkeypatch.setattr(module, "AT_ONCE", AT_ONCE)
    monkeypatch.setattr(copying, "BLOCK", 64 * 1024)
    return Heap(monkeypatch)


@pytest.mark.parametrize("final", [False, True])
def test_copies_are_written_out_on_the_way(tmp_path: Path, heap: Heap, final: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source, target):
        folder.mkdir()
    (source / "large").write_bytes(os.urandom(10 * AT_ONCE + 1))
    (source / "small").write_bytes(b"x")
    copying.copy(source, target, tmp_path / "memory", lambda: None, final=final)
    assert (target / "large").read_bytes() == (source / "large").read_bytes()
    assert 0 < heap.most <= AT_ONCE
    assert heap.now == 0, "all of it is on the disk in the end"


def test_images_are_written_out_on_the_way(tmp_path: Path, heap: Heap) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "machine").write_bytes(os.urandom(5 * AT_ONCE))
    digest = image.bring("machine", tmp_path, tmp_path / "folder")
    assert (tmp_path / "folder" / digest / "machine").read_bytes() == (tmp_path / "machine").read_bytes()
    assert heap.most == AT_ONCE
    assert heap.now == 0


def test_large_files_are_freed_piece_by_piece(tmp_path: Path, heap: Heap) -> None:
    """Beside what no care is taken of: links, sparse files, and one that has another name and stays."""
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    (tree / "deep").mkdir(parents=True)
    kept.write_bytes(os.urandom(3 * AT_ONCE))
    content = kept.read_bytes()
    os.link(kept, tree / "deep" / "kept")
    (tree / "link").symlink_to(kept)
    (tree / "large").write_bytes(os.urandom(4 * AT_ONCE))
    (tree / "deep" / "larger").write_bytes(os.urandom(6 * AT_ONCE + 1))
    with open(tree / "sparse", "wb") as sparse:
        sparse.truncate(100 * AT_ONCE)
    os.mkfifo(tree / "pipe")
    (tree / "deep" / "closed").write_bytes(os.urandom(2 * AT_ONCE))
    (tree / "deep").chmod(0o555)
    heap.syncs = 0
    files.remove_tree(tree)
    assert not tree.exists()
    assert heap.syncs >= 3 + 6 + 1, "one after each piece but the last of a file"
    assert kept.read_bytes() == content

    (tmp_path / "alone").write_bytes(os.urandom(4 * AT_ONCE))
    heap.syncs = 0
    files.remove_tree(tmp_path / "alone")
    assert not (tmp_path / "alone").exists()
    assert heap.syncs == 3
