"""What an evaluation found, as frozen dataclasses that become JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokenlearner.analysis.maps import MapQuality
from tokenlearner.analysis.objects import ObjectMass
from tokenlearner.evaluation.cause import Deletion
from tokenlearner.evaluation.following import Following
from tokenlearner.evaluation.stability import Stability

FORMAT: Final = "tokenlearner-evaluation-1"
CLIPS_FORMAT: Final = "tokenlearner-clip-evaluation-1"


@dataclass(frozen=True, kw_only=True)
class ChoiceResult:
    """One place of the module and one number of tokens.

    Attributes:
        loc: Block before which the module sits; None for the plain network.
        num_tokens: Tokens; 0 for the plain network.
        macs: Multiply-adds for one picture of the standard size.
        top1: Share of photographs whose most probable class is right, 0..1.
        mean_class: The same within each class, averaged over the classes, 0..1.
        maps: Measures of the maps alone; None for the plain network.
        whole: Objects on white ground as photographed; None without such photographs.
        placed: The same objects cut out and placed at random size and place on white; see `scenes`.
        cluttered: The same objects, sizes and places on the middle of other photographs.
    """

    loc: int | None
    num_tokens: int
    macs: int
    top1: float
    mean_class: float
    maps: MapQuality | None = None
    whole: ObjectMass | None = None
    placed: ObjectMass | None = None
    cluttered: ObjectMass | None = None


@dataclass(frozen=True, kw_only=True)
class CollageResult:
    """Whether each object of a collage has a token of its own; see `objects.matched_share`.

    Attributes:
        collages: Number of collages, of two or three objects each.
        matched: Share of objects with a token of their own that has half its mass on them, 0..1.
        random_weights: The same for the network before training.
        mean_map: The same for the model's own mean maps, one a token.
    """

    collages: int
    matched: float
    random_weights: float
    mean_map: float


@dataclass(frozen=True, kw_only=True)
class MeaningResult:
    """Tests of meaning at one place of the module.

    Attributes:
        loc: Block before which the module sits.
        num_tokens: Tokens.
        collage: Whether tokens find several objects; None without cut-outs.
        deletion: Whether what they look at matters.
        stability: Whether they follow the picture.
    """

    loc: int
    num_tokens: int
    collage: CollageResult | None
    deletion: Deletion
    stability: Stability


@dataclass(frozen=True, kw_only=True)
class VideoMass:
    """Tokens on the moving object of video sequences; see `davis`.

    *Kept* is one token for a whole sequence, the one with the most mass on the object; means over
    sequences of means over frames, 0..1.

    Attributes:
        loc: Block before which the module sits.
        num_tokens: Tokens a frame.
        sequences: Number of sequences.
        frames: Number of frames in which there is an object.
        kept: Mass of the kept token on the object.
        kept_peak: Share of frames in which its largest cell is at least half object.
        kept_touch: Share of frames in which its largest cell holds any of the object.
        always: Mass of one token kept over all sequences.
        always_token: Its index.
        uniform: Mass of the uniform map: the object's share of the frame.
        centre_prior: Mass of the centre prior.
        centre_prior_peak: As `kept_peak`: share of frames whose middle cell is at least half object.
        centre_prior_touch: As `kept_touch`.
        mean_map: Best for each sequence of the model's own mean maps over all sequences.
        random_weights: `kept` of the same network before training.
        random_weights_peak: `kept_peak` of it.
        random_weights_touch: `kept_touch` of it.
    """

    loc: int
    num_tokens: int
    sequences: int
    frames: int
    kept: float
    kept_peak: float
    kept_touch: float
    always: float
    always_token: int
    uniform: float
    centre_prior: float
    centre_prior_peak: float
    centre_prior_touch: float
    mean_map: float
    random_weights: float
    random_weights_peak: float
    random_weights_touch: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that was measured of one model.

    Attributes:
        model: Name of the model.
        sha256: Of its weights.
        trained: False if the weights are random.
        command: A command that measures the same again, with file names without folders; "" if not told.
        data: The sources of the photographs.
        split: The split file whose validation part was used; None for all photographs.
        photos: Number of photographs.
        classes: Number of classes among them.
        white_ground: Number of them with an object on white ground.
        resize: "whole": photographs keep their shape; "crop": their middle square.
        seed: Of all that is drawn.
        device: Where it ran.
        seconds: How long it took.
        choices: One entry a (loc, number of tokens).
        meaning: One entry a location; empty if not asked for.
        video: One entry a (loc, number of tokens); empty without sequences.
        notes: What was left out, a sentence each.
    """

    model: str
    sha256: str
    trained: bool
    command: str
    data: tuple[str, ...]
    split: str | None
    photos: int
    classes: int
    white_ground: int
    resize: str
    seed: int
    device: str
    seconds: float
    choices: tuple[ChoiceResult, ...]
    meaning: tuple[MeaningResult, ...] = ()
    video: tuple[VideoMass, ...] = ()
    notes: tuple[str, ...] = ()

    def result(self, loc: int | None, num_tokens: int = 0) -> ChoiceResult:
        """The entry of one choice.

        Raises:
            KeyError: If it was not measured.
        """
        for entry in self.choices:
            if (entry.loc, entry.num_tokens) == (loc, num_tokens):
                return entry
        raise KeyError(f"({loc}, {num_tokens}) was not measured")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary, with derived numbers (`lift`, `collapsed`)."""
        data = {"format": FORMAT, **dataclasses.asdict(self)}
        for entry, source in zip(data["choices"], self.choices, strict=True):
            if source.maps is not None:
                entry["maps"]["collapsed"] = source.maps.collapsed
            for name in ("whole", "placed", "cluttered"):
                found = getattr(source, name)
                if found is not None:
                    entry[name]["lift"] = found.lift
        return data


@dataclass(frozen=True, kw_only=True)
class ClipChoiceResult:
    """One place of the module and one number of tokens of a video model, on clips made of photographs.

    *Frozen* clips show their middle frame throughout: what a single frame tells. Whoever names their motion better
    than chance has another clue than motion.

    Attributes:
        loc: Block before which the module sits; None for the plain network.
        num_tokens: Tokens a time step; 0 for the plain network.
        macs: Multiply-adds for one clip of the standard size.
        object: Share of clips whose moving object is named, 0..1.
        motion: Share of clips whose motion is named, 0..1.
        object_frozen: As `object`, of the frozen clips.
        motion_frozen: As `motion`, of the frozen clips.
        maps: Measures of the maps of all time steps; None for the plain network.
    """

    loc: int | None
    num_tokens: int
    macs: int
    object: float
    motion: float
    object_frozen: float
    motion_frozen: float
    maps: MapQuality | None = None


@dataclass(frozen=True, kw_only=True)
class FollowingResult:
    """How well one kind of maps stays on moving objects.

    Attributes:
        maps: Whose: "tokens"; "tokens, one for all" (the same token in every run); or a rival's name.
        loc: Block before which the module sits; None for maps that come from no module.
        num_tokens: Maps a moment.
        following: The measures.
    """

    maps: str
    loc: int | None
    num_tokens: int
    following: Following


@dataclass(frozen=True, kw_only=True)
class SequencesResult:
    """Real video sequences.

    Attributes:
        name: File that held them.
        sequences: Number of sequences.
        frames: Number of frames in which there is an object.
        following: One entry a kind of maps.
    """

    name: str
    sequences: int
    frames: int
    following: tuple[FollowingResult, ...]


@dataclass(frozen=True, kw_only=True)
class ClipEvaluation:
    """Everything that was measured of one video model.

    Attributes:
        model: Name of the model.
        sha256: Of its weights.
        trained: False if the weights are random.
        command: A command that measures the same again; file names without folders.
        data: The sources of the photographs that clips were made of.
        split: The split file whose validation part was used; None for all photographs.
        photos: Number of photographs.
        cutouts: Number of objects cut out of them.
        clips: Number of clips.
        moments: Number of time steps in which the moving object covers more than one cell.
        chance: Share of motions that guessing names.
        resize: How frames of sequences became inputs, as in `Evaluation`.
        seed: Of all that is drawn.
        device: Where it ran.
        seconds: How long it took.
        choices: One entry a (loc, number of tokens).
        by_motion: Share of clips whose motion is named, by motion, with the model's default module.
        following: Tokens on the moving object of the clips; one entry a kind of maps.
        sequences: The same on real sequences; None without any.
        notes: What was left out, a sentence each.
    """

    model: str
    sha256: str
    trained: bool
    command: str
    data: tuple[str, ...]
    split: str | None
    photos: int
    cutouts: int
    clips: int
    moments: int
    chance: float
    resize: str
    seed: int
    device: str
    seconds: float
    choices: tuple[ClipChoiceResult, ...]
    by_motion: Mapping[str, float]
    following: tuple[FollowingResult, ...]
    sequences: SequencesResult | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {"format": CLIPS_FORMAT, **dataclasses.asdict(self)}
