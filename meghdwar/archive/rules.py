"""Every way in which an archive can be refused. A code never changes its meaning and is never used twice.

700-719 the archive as a whole · 720-729 what headers say · 730-749 names · 750-759 kinds · 760-769 sizes
"""

from __future__ import annotations

from meghdwar.diagnostics import Rule

# the archive as a whole
NOT_AN_ARCHIVE = Rule("MDW700", "not-an-archive")
CUT_SHORT = Rule("MDW701", "archive-cut-short")
BYTES_BEFORE = Rule("MDW702", "bytes-before-archive")
BYTES_AFTER = Rule("MDW703", "bytes-after-archive")
TWO_ENDS = Rule("MDW704", "archive-with-two-ends")
SEVERAL_DISKS = Rule("MDW705", "archive-on-several-disks")
WRONG_COUNT = Rule("MDW706", "wrong-number-of-entries")
DIRECTORY_ELSEWHERE = Rule("MDW707", "directory-elsewhere")
BAD_ZIP64 = Rule("MDW708", "bad-zip64-record")
BYTES_BETWEEN = Rule("MDW709", "bytes-between-entries")
OVERLAP = Rule("MDW710", "overlapping-entries")
BAD_DIRECTORY = Rule("MDW711", "bad-directory")
NO_HEADER = Rule("MDW712", "entry-without-header")

# what headers say
OTHER_NAME = Rule("MDW720", "header-with-other-name")
OTHER_METHOD = Rule("MDW721", "header-with-other-method")
OTHER_SIZE = Rule("MDW722", "header-with-other-size")
OTHER_CHECKSUM = Rule("MDW723", "header-with-other-checksum")
BAD_EXTRA = Rule("MDW724", "bad-extra-field")
UNICODE_NAME = Rule("MDW725", "second-name")
UNKNOWN_METHOD = Rule("MDW726", "unknown-compression")
ENCRYPTED = Rule("MDW727", "encrypted-entry")
ENCRYPTED_DIRECTORY = Rule("MDW728", "encrypted-directory")
PATCH = Rule("MDW729", "patch-entry")

# names
EMPTY_NAME = Rule("MDW730", "empty-entry-name")
ABSOLUTE_NAME = Rule("MDW731", "absolute-entry-name")
CLIMBING_NAME = Rule("MDW732", "climbing-entry-name")
BACKSLASH = Rule("MDW733", "backslash-in-entry-name")
DRIVE = Rule("MDW734", "drive-in-entry-name")
NUL = Rule("MDW735", "nul-in-entry-name")
CONTROL_CHARACTER = Rule("MDW736", "control-character-in-entry-name")
INVISIBLE = Rule("MDW737", "invisible-character-in-entry-name")
LONG_NAME = Rule("MDW738", "entry-name-too-long")
EMPTY_PART = Rule("MDW739", "empty-part-in-entry-name")
NOT_UTF8 = Rule("MDW740", "entry-name-not-utf-8")
SAME_NAME = Rule("MDW741", "entry-twice")
CASE_ALIKE = Rule("MDW742", "entry-names-alike-but-for-case")
LOOK_ALIKE = Rule("MDW743", "entry-names-that-look-alike")
FILE_AND_FOLDER = Rule("MDW744", "file-and-folder")
RESERVED_NAME = Rule("MDW745", "reserved-entry-name")
TRAILING_DOT = Rule("MDW746", "entry-name-ends-with-dot-or-space")
TOO_DEEP = Rule("MDW747", "folders-too-deep")

# kinds
LINK = Rule("MDW750", "symbolic-link")
DEVICE = Rule("MDW751", "device")
PIPE = Rule("MDW752", "pipe-or-socket")
SET_ID = Rule("MDW753", "set-id-bit")
FOLDER_WITH_CONTENT = Rule("MDW754", "folder-with-content")
UNKNOWN_KIND = Rule("MDW755", "unknown-kind-of-entry")

# sizes and contents
TOO_MANY = Rule("MDW760", "too-many-entries")
DIRECTORY_TOO_LARGE = Rule("MDW761", "directory-too-large")
RATIO = Rule("MDW762", "unpacks-to-too-much")
TOTAL_RATIO = Rule("MDW763", "all-unpacks-to-too-much")
TOO_LARGE = Rule("MDW764", "entries-too-large")
DEFINITIONS_TOO_LARGE = Rule("MDW765", "definitions-too-large")
WRONG_CHECKSUM = Rule("MDW767", "wrong-checksum")
WRONG_SIZE = Rule("MDW768", "unpacks-to-another-size")
BAD_STREAM = Rule("MDW769", "bad-compressed-data")
HIDDEN_BYTES = Rule("MDW770", "bytes-after-compressed-data")
