"""The tokenizer of the table, the same as that of internal/embed, and its vocabulary.

Text is folded to lower-case ASCII letters and digits, everything else divides words. A word is cut into the longest
pieces of the vocabulary from its start on; every letter and digit is a piece, so that no word is without any.
"""

import re
import unicodedata

MAX_WORD = 40  # what is longer is cut here

_WORDS = re.compile(r"[a-z0-9]+")
_PIECE = re.compile(r"(##)?[a-z0-9]+")


def vocabulary(teacher: list[str]) -> list[str]:
    """Gives the teacher's WordPieces that fold leaves possible, in their order; ## marks those that go on a word."""
    return [p for p in teacher if _PIECE.fullmatch(p)]


def fold(text: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).lower())


def words(text: str) -> list[str]:
    plain = text.lower()
    if not text.isascii():
        # Marks of letters are left out, not dividing: "café" is one word.
        plain = "".join(c for c in fold(text) if unicodedata.category(c) != "Mn")
    return [w[i:i + MAX_WORD] for w in _WORDS.findall(plain) for i in range(0, len(w), MAX_WORD)]


class Tokenizer:
    def __init__(self, pieces: list[str]):
        self.ids = {p: i for i, p in enumerate(pieces)}
        self.longest = max(map(len, pieces))
        self.known: dict[str, list[int]] = {}

    def word(self, word: str) -> list[int]:
        if word in self.known:
            return self.known[word]
        out, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(min(len(word), start + self.longest), start, -1):
                if (i := self.ids.get(prefix + word[start:end])) is not None:
                    out.append(i)
                    start = end
                    break
            else:
                raise ValueError(f"{word!r}: no piece at {start}")
        self.known[word] = out
        return out

    def text(self, text: str) -> list[int]:
        return [i for w in words(text) for i in self.word(w)]
