"""Photos and clips that can be chosen: the samples, and what a visitor brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.text import seconds
from app.uploads import Upload
from tokenlearner.media.info import MediaInfo, MediaKind
from tokenlearner.samples import list_samples, sample_path


@dataclass(frozen=True, kw_only=True)
class Item:
    """A photo or clip.

    Attributes:
        key: Says its content: equal keys, equal content.
        name: As it is shown.
        kind: "image" or "video".
        credit: Where a sample comes from; "" for a visitor's own file.
        info: What the file holds; None for a sample, which may not be there yet.
        path: Where the file lies; None for a sample.
    """

    key: str
    name: str
    kind: MediaKind
    credit: str = ""
    info: MediaInfo | None = None
    path: Path | None = None

    @property
    def is_sample(self) -> bool:
        """Whether it comes with the program."""
        return self.path is None

    def locate(self) -> Path:
        """Where the file lies; a sample is made first if it is not there, which takes a moment.

        Raises:
            MediaError: If a sample cannot be made.
        """
        return self.path if self.path is not None else sample_path(self.key.removeprefix("sample:"))


def samples() -> tuple[Item, ...]:
    """The samples, in their own order."""
    return tuple(
        Item(
            key=f"sample:{sample.name}",
            name=sample.title,
            kind=sample.kind,
            credit=f"{sample.attribution} Licence: {sample.licence}.",
        )
        for sample in list_samples()
    )


def from_upload(upload: Upload) -> Item:
    """A visitor's file."""
    return Item(
        key=f"file:{upload.info.sha256}", name=upload.name, kind=upload.info.kind, info=upload.info, path=upload.path
    )


def labels(items: Sequence[Item]) -> dict[str, str]:
    """What to call each in a list, by its key; no two are called the same.

    Streamlit tells the options of a list by their labels, and files of one name are common: of those, the second and
    later ones have a number.

    Args:
        items: The newest first, so that what is there keeps its label when more comes.
    """
    found: dict[str, str] = {}
    used: Counter[str] = Counter()
    for item in reversed(items):
        label = _label(item)
        used[label] += 1
        found[item.key] = label if used[label] == 1 else f"{label} · {used[label]}"
    return found


def _label(item: Item) -> str:
    length = f", {seconds(item.info.duration_s)}" if item.info and item.kind == "video" else ""
    kind = "photo" if item.kind == "image" else "clip"
    return f"{item.name} ({kind}{length})" if item.is_sample else f"{item.name} (yours{length})"
