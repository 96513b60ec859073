"""Zip archives of strangers. Everybody who reads one does so through here, after it was found to be what it says.

    found = archive.open_archive(path, "x.csar")     an Archive, or all that is wrong with it

Nothing is unpacked to disk, nothing is executed, nothing is fetched; what an archive may ask for is in Limits.
"""

from __future__ import annotations

from meghdwar.archive.directory import Entry
from meghdwar.archive.fault import Refused
from meghdwar.archive.limits import LIMITS, Limits
from meghdwar.archive.reading import Archive, open_archive

__all__ = ["LIMITS", "Archive", "Entry", "Limits", "Refused", "open_archive"]
