"""What the words of a data set mean as splits: names of files, of folders, and cells of a column.

A file's split is named by a part of its name between hyphens (`train-00000-of-00002.parquet`,
`set-train.arrow`), else by the nearest of its folders that is called like a split.
Any other name that suggests a split (`train_0001`, `testA`, `restval`, `train-val`) names none:
a guess could put test images into training, so the user is asked. `--split-map` comes first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import PurePath

from crossray.core.errors import CrossRayError
from crossray.data.rejection import Rejected
from crossray.data.sources.source import names
from crossray.data.split import SPLITS, Split, parse_split

# Words that suggest splits without naming one; what some call `eval` others call the test set.
_UNCLEAR = frozenset({"eval", "evaluation", "restval", "minival", "trainval", "testdev"})
_SHARD = re.compile(r"-\d+(-of-\d+)?(-[0-9a-f]+)?$")
_LETTERS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SHOWN = 5


@dataclass(frozen=True)
class SplitWords:
    """The user's words, patterns such as `test?` in lower case, before the usual spellings."""

    mapped: tuple[tuple[str, Split], ...] = ()

    def split(self, word: str) -> Split | None:
        """The split that a word means; None if it is unknown."""
        return self._mapped(word) or parse_split(word)

    def cell(self, word: str) -> Split:
        """The split that a cell means; raises `Rejected`."""
        if (split := self.split(word)) is not None:
            return split
        if not word:
            raise Rejected("unknown split", "the split is blank")
        detail = f"{word[:40]!r} is not one of {', '.join(SPLITS)}"
        raise Rejected(
            "unknown split", f"{detail}; --split-map {word[:40]}=train would make it one"
        )

    def files(self, paths: Sequence[str], folder: str) -> list[Split | None]:
        """The split of every file; None for all of them where no name suggests one.

        `paths` are relative to the `folder` that was given. Its name counts where none of the
        paths names a split. Raises `CrossRayError` for a file that names none among files that
        do, and for names that suggest a split without naming it.
        """
        found = [self._file(path) for path in paths]
        if not any(found) and folder:
            found = [self._file(f"{folder}/{path}") for path in paths]
        lost = [path for path, split in zip(paths, found, strict=True) if split is None]
        if lost and any(found):
            named = [path for path, split in zip(paths, found, strict=True) if split is not None]
            raise _unknown(lost, f"known split, beside {_shown(named)}")
        if unclear := [path for path in lost if any(map(_hints, _parts(path)))]:
            raise _unknown(
                unclear, f"split for sure, although {', '.join(SPLITS)} or the like is in it"
            )
        return found

    def _file(self, path: str) -> Split | None:
        *folders, name = _parts(path)
        inside_out = [name, *reversed(folders)]
        for word in ("/".join((*folders, name)), *inside_out):
            if (mapped := self._mapped(word)) is not None:
                return mapped
        hinted: set[str] = set()
        for at, word in enumerate(inside_out):
            hinted |= _hints(word)
            for part in [word] if at else word.split("-"):
                if (split := parse_split(part)) is not None:
                    return split if len(hinted) == 1 else None
        return None

    def _mapped(self, word: str) -> Split | None:
        lower = word.strip().lower()
        return next((split for pattern, split in self.mapped if fnmatchcase(lower, pattern)), None)


@cache
def split_words(entries: tuple[str, ...]) -> SplitWords:
    """The words of `--split-map`, such as `("restval=train", "test?=test")`; commas may part them.

    Raises `CrossRayError` for an entry that is no such pair.
    """
    mapped = []
    for entry in names(",".join(entries)):
        word, equals, meaning = entry.rpartition("=")
        split = parse_split(meaning)
        if not (equals and word.strip()) or split is None:
            raise CrossRayError(
                f"--split-map {entry} does not say what a word means; give WORD=SPLIT, where SPLIT "
                f"is one of {', '.join(SPLITS)}."
            )
        mapped.append((word.strip().lower(), split))
    return SplitWords(tuple(mapped))


def _parts(path: str) -> list[str]:
    """The names of a file's folders and of the file, without ending and shard number."""
    *folders, file = PurePath(path).parts
    return [*folders, _SHARD.sub("", PurePath(file).stem)]


def _hints(name: str) -> set[str]:
    """The splits, and the unclear words, that a name suggests: two in `train-val_2`."""
    runs = [run.lower() for run in _LETTERS.findall(name)]
    return {parse_split(run) or run for run in runs if run in _UNCLEAR or parse_split(run)}


def _unknown(paths: Sequence[str], why: str) -> CrossRayError:
    parts = _parts(paths[0])
    hinted = _hints(parts[-1]).intersection(SPLITS)
    example = f"{'/'.join(parts)}={hinted.pop() if len(hinted) == 1 else 'train'}"
    verb = "name" if len({tuple(_parts(path)) for path in paths}) > 1 else "names"
    return CrossRayError(
        f"{_shown(paths)} {verb} no {why}; say what it means with --split-map, such as "
        f"--split-map '{example}', where * stands for any characters."
    )


def _shown(paths: Sequence[str]) -> str:
    """The different names, a few of them."""
    different = list(dict.fromkeys("/".join(_parts(path)) for path in paths))
    more = f" and {len(different) - _SHOWN:,} more" if len(different) > _SHOWN else ""
    return ", ".join(map(repr, different[:_SHOWN])) + more
