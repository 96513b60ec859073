"""What an archive of a stranger may ask for."""

from __future__ import annotations

from dataclasses import dataclass

MIB, GIB = 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """`definition_bytes` is what is read into memory: of one file, and of all descriptors together.

    Images are larger: they are read in pieces and only to be checked. A file up to `small_bytes` may be as empty as
    it likes; a larger one may unpack to `ratio` times its size, where text reaches 20 and a bomb 1000.
    """

    entries: int = 10_000
    directory_bytes: int = 8 * MIB
    name_length: int = 255
    folders_deep: int = 32
    definition_bytes: int = 16 * MIB
    total_bytes: int = 64 * GIB
    ratio: int = 200
    small_bytes: int = MIB
    seconds: float = 600.0


LIMITS = Limits()
