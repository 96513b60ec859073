"""ASN.1 values as they stand in a signature: DER, and BER with lengths that are only known at the end.

Enough to take a CMS structure apart; what is in it, such as certificates and keys, `cryptography` reads.
Source: X.690, sections 8.1 and 10.1.
"""

from __future__ import annotations

from dataclasses import dataclass

INTEGER, OCTETS, OBJECT, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31
_CONSTRUCTED, _LONG_TAG, _DEPTH_MAX, _VALUES_MAX = 0x20, 0x1F, 16, 20_000


class NotDer(ValueError):
    """The bytes are no ASN.1 values, or not the ones that should stand here."""


@dataclass(frozen=True, slots=True)
class Value:
    """`whole` is the value as it stands; `content` what is in it, `parts` the values in it when there are such."""

    tag: int
    content: bytes
    whole: bytes
    parts: tuple[Value, ...] = ()

    def part(self, index: int, tag: int | None = None) -> Value:
        """One of its parts; raises NotDer when it is not there or is another."""
        if index >= len(self.parts) or (tag is not None and self.parts[index].tag != tag):
            raise NotDer
        return self.parts[index]

    def octets(self) -> bytes:
        """The content of an octet string, which BER may write in pieces."""
        return b"".join(part.octets() for part in self.parts) if self.tag & _CONSTRUCTED else self.content

    @property
    def number(self) -> int:
        return int.from_bytes(self.content, "big", signed=True)

    @property
    def object(self) -> str:
        """An object identifier, dotted."""
        numbers, number = [], 0
        for byte in self.content:
            number = number << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(number)
                number = 0
        if self.tag != OBJECT or not numbers or number:
            raise NotDer
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def read(data: bytes) -> Value:
    """The one value that the bytes are; raises NotDer."""
    reading = _Reading(data)
    value, end = reading.value(0, len(data), 0)
    if data[end:].strip(b"\0\r\n"):
        raise NotDer
    return value


class _Reading:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.count = 0

    def value(self, at: int, limit: int, depth: int) -> tuple[Value, int]:
        self.count += 1
        if at + 2 > limit or depth > _DEPTH_MAX or self.count > _VALUES_MAX or self.data[at] & _LONG_TAG == _LONG_TAG:
            raise NotDer
        tag, length = self.data[at], self.data[at + 1]
        begin = at + 2
        if length == 0x80:
            return self.endless(tag, at, begin, limit, depth)
        if length > 0x80:
            begin += length & 0x7F
            length = int.from_bytes(self.data[at + 2 : begin], "big")
        end = begin + length
        if end > limit:
            raise NotDer
        parts = []
        inner = begin
        while tag & _CONSTRUCTED and inner < end:
            part, inner = self.value(inner, end, depth + 1)
            parts.append(part)
        return Value(tag, self.data[begin:end], self.data[at:end], tuple(parts)), end

    def endless(self, tag: int, at: int, begin: int, limit: int, depth: int) -> tuple[Value, int]:
        """A value that ends where two zero bytes stand among its parts."""
        if not tag & _CONSTRUCTED:
            raise NotDer
        parts, inner = [], begin
        while self.data[inner : inner + 2] != b"\0\0":
            part, inner = self.value(inner, limit, depth + 1)
            parts.append(part)
        return Value(tag, self.data[begin:inner], self.data[at : inner + 2], tuple(parts)), inner + 2
