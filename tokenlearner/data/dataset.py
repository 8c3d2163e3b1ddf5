"""Labelled photographs: found in a folder or tar, split by file, decoded once into one array.

A data set is a tree of class folders, `<anything>/<class>/<file>.jpg`, lying in a folder or in
an uncompressed tar. A photograph is named by its path below the folders that all photographs
share, so a tar and the folder it was made from give the same names, and one split file fits both.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from PIL import Image, ImageOps

from tokenlearner.errors import DataError

Part = Literal["train", "val"]
Split = dict[str, Part]

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_SPLIT_FORMAT: Final = "tokenlearner-split-1"
_CACHE_FORMAT: Final = "photos-1"  # part of the cache key: raise it when decoding changes
_MIN_VAL: Final = 2


@dataclass(frozen=True)
class _Entry:
    """Where one photograph's bytes lie, and when the file that holds them was written."""

    path: Path
    offset: int
    size: int
    mtime: float


@dataclass(frozen=True, eq=False)
class PhotoStore:
    """Decoded photographs, each squashed to a square.

    Attributes:
        pixels: RGB, 0..255. The whole photograph resized to a square, its aspect ratio not kept:
            nothing is cut off, and a crop whose sides undo `aspect` shows things in shape again.
        aspect: Width / height of each photograph before it was squashed.
    """

    pixels: UInt8[np.ndarray, "photos side side 3"]
    aspect: Float32[np.ndarray, " photos"]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def side(self) -> int:
        """Side of the stored squares in pixels."""
        return int(self.pixels.shape[1])

    def subset(self, indices: Int64[np.ndarray, " chosen"]) -> PhotoStore:
        """Copy of the photographs at `indices`, in that order."""
        return PhotoStore(self.pixels[indices], self.aspect[indices])


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The photographs of a data set, not yet decoded.

    Attributes:
        names: `<class>/<file>` (with more folders before it where they differ), sorted by class.
        labels: Index into `class_names` for each name.
        class_names: Folder names, sorted.
    """

    names: tuple[str, ...]
    labels: Int64[np.ndarray, " photos"]
    class_names: tuple[str, ...]
    _entries: tuple[_Entry, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> UInt8[np.ndarray, "height width 3"]:
        """Decode one photograph as RGB, 0..255, upright, at its own size.

        Raises:
            DataError: If it cannot be decoded; the sentence names it.
        """
        return np.array(_decode(self.names[index], self._entries[index], None))

    def indices(self, names: Iterable[str]) -> Int64[np.ndarray, " chosen"]:
        """Positions of `names` in this set, in the order given.

        Raises:
            DataError: If a name is not in the set.
        """
        lookup = {name: index for index, name in enumerate(self.names)}
        try:
            return np.array([lookup[name] for name in names], dtype=np.int64)
        except KeyError as error:
            raise DataError(f"The data set holds no photograph named {error.args[0]}.") from None

    def part(self, split: Mapping[str, Part], part: Part) -> ImageSet:
        """The photographs that `split` puts into `part`; classes and labels stay as they are.

        Raises:
            DataError: If the split does not name every photograph, or the part is empty.
        """
        missing = [name for name in self.names if name not in split]
        if missing:
            raise DataError(
                f"The split does not say where {len(missing)} of {len(self)} photographs belong (first: {missing[0]}). "
                "Use the split file that was written for this data set."
            )
        keep = [index for index, name in enumerate(self.names) if split[name] == part]
        if not keep:
            raise DataError(f'The split puts no photograph of this data set into "{part}".')
        return self.take(np.array(keep, dtype=np.int64))

    def take(self, indices: Int64[np.ndarray, " chosen"]) -> ImageSet:
        """The photographs at `indices`, in that order; classes and labels stay as they are."""
        chosen = [int(index) for index in indices]
        return ImageSet(
            tuple(self.names[i] for i in chosen),
            self.labels[indices],
            self.class_names,
            tuple(self._entries[i] for i in chosen),
        )

    def load_pixels(
        self,
        side: int,
        *,
        cache_dir: Path | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> PhotoStore:
        """Decode every photograph once, squashed to `side` x `side` pixels.

        Args:
            side: Side of the stored squares in pixels.
            cache_dir: Where the array is kept for the next start, under a name made from the
                files' names, sizes and times; None keeps nothing.
            workers: Decoding threads; None for one a processor.
            progress: Called with (photographs done, all) now and then.

        Raises:
            DataError: If a photograph cannot be decoded; the sentence names it.
        """
        cached = None if cache_dir is None else cache_dir / f"{self._fingerprint(side)}.npz"
        if cached is not None and (store := _read_cache(cached)) is not None:
            return store
        pixels = np.empty((len(self), side, side, 3), dtype=np.uint8)
        aspect = np.empty(len(self), dtype=np.float32)

        def load(index: int) -> None:
            image = _decode(self.names[index], self._entries[index], side)
            aspect[index] = image.info["aspect"]
            pixels[index] = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))

        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            for done, _ in enumerate(pool.map(load, range(len(self))), start=1):
                if progress is not None and (done % 256 == 0 or done == len(self)):
                    progress(done, len(self))
        store = PhotoStore(pixels, aspect)
        if cached is not None:
            _write_cache(cached, store)
        return store

    def _fingerprint(self, side: int) -> str:
        digest = hashlib.sha256(f"{_CACHE_FORMAT}/{side}".encode())
        for name, entry in zip(self.names, self._entries, strict=True):
            digest.update(f"\n{name}\t{entry.offset}\t{entry.size}\t{entry.mtime}".encode())
        return f"photos-{side}-{digest.hexdigest()[:24]}"


def read_image_set(*sources: str | Path) -> ImageSet:
    """Find the photographs of one or more folders or uncompressed tars of class folders.

    Hidden files and files that are not pictures are passed over. Classes of the same name in
    two sources become one class.

    Raises:
        DataError: If a source is missing, is no folder or plain tar, or holds no photographs;
            if a photograph lies in no class folder; if two have the same name.
    """
    if not sources:
        raise DataError("No data set was given. Name a folder or a tar of class folders.")
    found: dict[str, _Entry] = {}
    for source in map(Path, sources):
        listing = _list_folder(source) if source.is_dir() else _list_tar(source)
        if not listing:
            raise DataError(
                f"{source} holds no photographs. It should hold one folder a class, with JPEG, PNG or WebP files in it."
            )
        for name, entry in _without_shared_folders(source, listing).items():
            if name in found:
                raise DataError(f"Two photographs are named {name}. Give folders whose class/file names differ.")
            found[name] = entry
    names = sorted(found, key=lambda name: (_class_of(name), name))
    class_names = tuple(sorted({_class_of(name) for name in names}))
    number = {name: index for index, name in enumerate(class_names)}
    labels = np.array([number[_class_of(name)] for name in names], dtype=np.int64)
    return ImageSet(tuple(names), labels, class_names, tuple(found[name] for name in names))


def read_unlabelled(*sources: str | Path) -> ImageSet:
    """Find the photographs of one or more folders or uncompressed tars, whatever folders they lie in.

    All are of one class, "photograph", in the order of their names.

    Raises:
        DataError: If a source is missing, is no folder or plain tar, or holds no photographs; if two photographs have
            the same name.
    """
    found: dict[str, _Entry] = {}
    for source in map(Path, sources):
        listing = _list_folder(source) if source.is_dir() else _list_tar(source)
        if not listing:
            raise DataError(f"{source} holds no photographs: no JPEG, PNG, WebP, BMP or TIFF files.")
        for name, entry in listing.items():
            if name in found:
                raise DataError(f"Two photographs are named {name}. Give folders whose files' names differ.")
            found[name] = entry
    names = tuple(sorted(found))
    labels = np.zeros(len(names), dtype=np.int64)
    return ImageSet(names, labels, ("photograph",), tuple(found[name] for name in names))


def split_by_file(image_set: ImageSet, fraction: float = 0.2, seed: int = 0) -> Split:
    """Draw a fixed validation part from each class.

    Each class gives `fraction` of its photographs, rounded, but at least 2, to validation. The
    draw orders a class by a hash of seed and name, so it depends on nothing else: not on the
    other classes, nor on a library's random numbers.

    Raises:
        DataError: If a class has fewer than 3 photographs, or `fraction` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise DataError(f"The validation fraction must lie between 0 and 1, not {fraction}.")
    split: Split = {}
    for label, class_name in enumerate(image_set.class_names):
        members = [image_set.names[i] for i in np.flatnonzero(image_set.labels == label)]
        if len(members) <= _MIN_VAL:
            raise DataError(
                f'Class "{class_name}" has {len(members)} photographs; at least {_MIN_VAL + 1} are needed to '
                "keep two for validation and one for training."
            )
        members.sort(key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
        num_val = min(max(_MIN_VAL, round(fraction * len(members))), len(members) - 1)
        split.update({name: "val" if rank < num_val else "train" for rank, name in enumerate(members)})
    return split


def save_split(path: str | Path, split: Mapping[str, Part]) -> None:
    """Write a split as JSON: the sorted names of each part, one a line."""
    parts = {part: sorted(name for name, where in split.items() if where == part) for part in ("train", "val")}
    text = json.dumps({"format": _SPLIT_FORMAT, **parts}, indent=0, ensure_ascii=False)
    _write_whole(Path(path), (text + "\n").encode())


def load_split(path: str | Path) -> Split:
    """Read what `save_split` wrote.

    Raises:
        DataError: If the file is missing, is no split, or names a photograph twice.
    """
    try:
        data: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"The split file {path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise DataError(f"{path} is not a split file: it is no JSON.") from error
    if not isinstance(data, dict) or data.get("format") != _SPLIT_FORMAT:
        raise DataError(f'{path} is not a split file: it does not say "format": "{_SPLIT_FORMAT}".')
    split: Split = {}
    part: Part
    for part in ("train", "val"):
        for name in data.get(part, []):
            if name in split:
                raise DataError(f"The split file {path} names {name} twice.")
            split[name] = part
    return split


def photo_cache_dir() -> Path:
    """Where decoded photographs are kept: `$TOKENLEARNER_CACHE`, else `~/.cache/tokenlearner`, in `photos`."""
    home = os.environ.get("TOKENLEARNER_CACHE")
    return (Path(home) if home else Path.home() / ".cache" / "tokenlearner") / "photos"


def _list_folder(root: Path) -> dict[str, _Entry]:
    listing = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if _is_picture(name) and path.is_file():
            stat = path.stat()
            listing[name] = _Entry(path, 0, stat.st_size, stat.st_mtime)
    return listing


def _list_tar(path: Path) -> dict[str, _Entry]:
    try:
        written = path.stat().st_mtime
        with tarfile.open(path, "r:") as archive:
            return {
                PurePosixPath(member.name).as_posix(): _Entry(path, member.offset_data, member.size, written)
                for member in archive
                if member.isfile() and _is_picture(member.name)
            }
    except FileNotFoundError as error:
        raise DataError(f"There is no data set at {path}. Name a folder or a tar of class folders.") from error
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"{path} is neither a folder nor a plain tar. Unpack a compressed archive first (gunzip, unzip)."
        ) from error


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts if part != ".")
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden


def _class_of(name: str) -> str:
    return PurePosixPath(name).parts[-2]


def _without_shared_folders(source: Path, listing: dict[str, _Entry]) -> dict[str, _Entry]:
    """Names below the folders that all of them share, keeping at least `<class>/<file>`."""
    parts = {name: PurePosixPath(name).parts for name in listing}
    loose = [name for name, names in parts.items() if len(names) < 2]
    if loose:
        raise DataError(f"{loose[0]} in {source} lies in no class folder. Give each class a folder of its own.")
    most = min(len(names) for names in parts.values()) - 2
    shared = 0
    while shared < most and len({names[shared] for names in parts.values()}) == 1:
        shared += 1
    return {"/".join(parts[name][shared:]): entry for name, entry in listing.items()}


def _decode(name: str, entry: _Entry, side: int | None) -> Image.Image:
    """One photograph as upright RGB; with `side`, JPEGs are read at the smallest sufficient scale.

    The result's `info["aspect"]` is width / height of the file's picture.
    """
    try:
        with entry.path.open("rb") as file:
            file.seek(entry.offset)
            data = file.read(entry.size)
        with Image.open(io.BytesIO(data)) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientations 5 to 8 swap the axes
            aspect = image.height / image.width if turned else image.width / image.height
            if side is not None:
                image.draft("RGB", (side, side))
            upright = _to_rgb(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"The photograph {name} cannot be read ({error}). Repair or remove it.") from error
    upright.info["aspect"] = aspect
    return upright


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: 16-bit greys keep their range, transparency becomes white."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image, dtype=np.int64) // 257).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _read_cache(path: Path) -> PhotoStore | None:
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return PhotoStore(arrays["pixels"], arrays["aspect"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent or damaged: decoded again and written anew


def _write_cache(path: Path, store: PhotoStore) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, pixels=store.pixels, aspect=store.aspect)
    _write_whole(path, buffer.getbuffer())


def _write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write through a temporary file, so that a reader never sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}).") from error
