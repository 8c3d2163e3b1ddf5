"""Still pictures through Pillow: whatever the file's mode, RGB 8 bit comes out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageCms, UnidentifiedImageError

from tokenlearner.errors import MediaError, MediaLimitError, TokenLearnerError
from tokenlearner.media.geometry import Orientation
from tokenlearner.media.limits import MediaLimits

PICTURE_FORMATS: Final = (
    "JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "ICO", "PSD", "QOI",
)  # fmt: skip
_ANIMATED_FORMATS: Final = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
_PAGES: Final = {"TIFF": "pages", "MPO": "pictures"}
_EXIF_ORIENTATION: Final = 274
_16_BIT_MODES: Final = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_DARK_16_BIT: Final = 4096
_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

# Pillow warns of odd metadata, which is no news to whoever opened the file. Set once and for good:
# `warnings.catch_warnings` is not made for threads, and taking turns would let one large file hold up all others.
warnings.filterwarnings("ignore", module=r"PIL\.")


@contextmanager
def picture_errors(name: str) -> Iterator[None]:
    """Turn whatever a picture decoder throws at a damaged file into one sentence.

    Raises:
        MediaError: For any failure that is not one of ours already.
        MediaLimitError: If the picture does not fit in memory.
    """
    try:
        yield
    except TokenLearnerError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise MediaLimitError(f"{name} needs more memory than there is. Scale it down first.") from error
    except Exception as error:  # Pillow's plugins raise almost anything on damaged input.
        raise MediaError(f"{name} is damaged or incomplete. Copy or download it again.") from error


def identify_picture(file: BinaryIO, name: str, limits: MediaLimits) -> Image.Image | None:
    """Read the head of a picture file; None if it is no picture that Pillow knows.

    Args:
        file: The open file, which must stay open while the picture is used.
        name: Name for messages.
        limits: Bounds on the picture's size.

    Raises:
        MediaError: If it is a picture, but damaged or of a kind that cannot be read.
        MediaLimitError: If it has too many pixels.
    """
    head = file.read(16)
    file.seek(0)
    with picture_errors(name):
        try:
            image = Image.open(file, formats=PICTURE_FORMATS)
        except UnidentifiedImageError:
            if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
                raise MediaError(
                    f"{name} is a HEIC photo, which cannot be read here. Export it as JPEG first."
                ) from None
            return None
        limits.check_pixels(name, *image.size)
        return image


def is_animated(image: Image.Image, name: str) -> bool:
    """Whether a picture file holds several pictures in time (not pages or views)."""
    with picture_errors(name):
        return image.format in _ANIMATED_FORMATS and getattr(image, "n_frames", 1) > 1


def read_still(
    image: Image.Image, name: str
) -> tuple[UInt8[np.ndarray, "height width 3"], Orientation, tuple[str, ...]]:
    """Decode an identified picture as it is displayed.

    EXIF and XMP orientation are applied, embedded colour profiles converted to sRGB and transparency
    laid on white. Of several pages or views the first is read.

    Returns:
        RGB 0..255, the orientation that was applied, and notes for the viewer.

    Raises:
        MediaError: If the picture is damaged.
    """
    with picture_errors(name):
        notes = []
        count = getattr(image, "n_frames", 1)
        if count > 1 and image.format in _PAGES:
            notes.append(f"This file holds {count} {_PAGES[image.format]}; the first is shown.")
        image.load()
        orientation = Orientation()
        with suppress(Exception):  # Damaged EXIF data must not cost the picture.
            orientation = Orientation.from_exif(image.getexif().get(_EXIF_ORIENTATION))
        rgb, note = to_rgb(image)
        return orientation.apply(rgb), orientation, (*notes, *note)


def to_rgb(image: Image.Image) -> tuple[UInt8[np.ndarray, "height width 3"], tuple[str, ...]]:
    """Convert a loaded picture of any mode to RGB 0..255, and say what was done to its brightness."""
    if image.mode in _16_BIT_MODES or image.mode in {"I", "F"}:
        grey, notes = _to_8_bit(np.asarray(image))
        return np.repeat(grey[:, :, None], 3, axis=2), notes
    if image.mode == "LAB" or "icc_profile" in image.info:
        image = _to_srgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB")), ()


def _to_8_bit(values: Shaped[np.ndarray, "height width"]) -> tuple[UInt8[np.ndarray, "height width"], tuple[str, ...]]:
    """Scale grey values of more than 8 bits to 0..255.

    16-bit values are divided by 257. Measuring devices often fill only the lowest bits; a picture
    that stays below 4096 would come out black and is scaled by its brightest value instead. Integers
    beyond 16 bits and floating-point values outside 0..1 are scaled from darkest to brightest.
    """
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and _DARK_16_BIT <= high <= 65535:
        return np.round(values / 257).astype(np.uint8), ()
    if low >= 0 and high <= 1:
        return np.round(values * 255).astype(np.uint8), ()
    if low >= 0 and high < _DARK_16_BIT:
        low = 0.0
    scaled = (values - low) / max(high - low, np.finfo(np.float64).tiny)
    note = f"Its values {low:g} to {high:g} are shown from black to white."
    return np.round(scaled * 255).astype(np.uint8), (note,)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert by the embedded colour profile (or from CIE Lab); the picture as it is if that fails."""
    try:
        if image.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            if "sRGB" in ImageCms.getProfileDescription(profile) or image.mode not in {"RGB", "RGBA", "CMYK"}:
                return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return converted if converted is not None else image
