"""A set of small numbers that always knows its lowest: bits in words, and bits that say which words have any.

Every operation costs the same at a hundred members as at a hundred thousand, the last one too.
"""

from collections.abc import Iterator

_WORD_BITS = 256
_SHIFT = _WORD_BITS.bit_length() - 1
_WITHIN = _WORD_BITS - 1

NOTHING = 1 << 62
"""The lowest of an empty set: above every index."""


class IndexSet:
    __slots__ = ("_summary", "_words", "lowest")

    def __init__(self) -> None:
        self._words: dict[int, int] = {}
        self._summary = 0
        self.lowest = NOTHING

    def __contains__(self, index: int) -> bool:
        return bool(self._words.get(index >> _SHIFT, 0) >> (index & _WITHIN) & 1)

    def __iter__(self) -> Iterator[int]:
        """Ascending. The set must not change meanwhile."""
        for number in sorted(self._words):
            word = self._words[number]
            while word:
                bit = word & -word
                yield (number << _SHIFT) + bit.bit_length() - 1
                word ^= bit

    def __len__(self) -> int:
        return sum(word.bit_count() for word in self._words.values())

    def add(self, index: int) -> None:
        number = index >> _SHIFT
        words = self._words
        word = words.get(number, 0)
        if not word:
            self._summary |= 1 << number
        words[number] = word | 1 << (index & _WITHIN)
        if index < self.lowest:
            self.lowest = index

    def remove(self, index: int) -> None:
        """Of a member."""
        number = index >> _SHIFT
        words = self._words
        word = words[number] ^ 1 << (index & _WITHIN)
        if word:
            words[number] = word
        else:
            del words[number]
            self._summary ^= 1 << number
        if index == self.lowest:
            self.lowest = self._find_lowest()

    def _find_lowest(self) -> int:
        summary = self._summary
        if not summary:
            return NOTHING
        number = (summary & -summary).bit_length() - 1
        word = self._words[number]
        return (number << _SHIFT) + (word & -word).bit_length() - 1
