"""Photos and videos in, pictures with times out, and back: no torch, RGB uint8 everywhere."""

from tokenlearner.media.encode import VideoWriter, encode_jpeg, encode_png, write_png
from tokenlearner.media.files import content_sha256
from tokenlearner.media.info import Frame, MediaInfo
from tokenlearner.media.join import Piece, join_pieces
from tokenlearner.media.limits import MediaLimits
from tokenlearner.media.reader import MediaReader, open_media, probe
from tokenlearner.media.sampling import Sampling
from tokenlearner.media.thumbnails import Thumbnail, Thumbnails, open_thumbnails

__all__ = [
    "Frame",
    "MediaInfo",
    "MediaLimits",
    "MediaReader",
    "Piece",
    "Sampling",
    "Thumbnail",
    "Thumbnails",
    "VideoWriter",
    "content_sha256",
    "encode_jpeg",
    "encode_png",
    "join_pieces",
    "open_media",
    "open_thumbnails",
    "probe",
    "write_png",
]
