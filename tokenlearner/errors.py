"""Every exception this project raises on purpose.

    TokenLearnerError
    ├── ConfigError        a model or setting that cannot exist
    ├── MediaError         a photo or video that cannot be read or written
    │   └── MediaLimitError    it could be read, but is larger than the limits in force
    ├── CheckpointError    weights or a card that cannot be read or do not fit
    │   └── OptionError        an option says what they do not tell: it is missing, or contradicts them
    ├── DataError          a training or evaluation data set that cannot be used
    ├── TrainingError      a run that ended with a network one should not ship
    ├── DeviceError        a device that is missing or out of memory
    ├── FeaturesGone       kept features were dropped to make room; analyse again
    ├── FeaturesNotKept    features never were kept: too large, or not asked for
    └── Cancelled          the caller asked to stop

Each message is one or two plain sentences: what is wrong, and what to do. Applications
catch the root and show the message as it is.
"""


class TokenLearnerError(Exception):
    """Root of all errors that are meant for a person to read."""


class ConfigError(TokenLearnerError, ValueError):
    """A model configuration or setting that cannot exist."""


class MediaError(TokenLearnerError):
    """A photo or video that cannot be read or written."""


class MediaLimitError(MediaError):
    """A photo or video larger than the limits in force."""


class CheckpointError(TokenLearnerError):
    """A checkpoint or model card that cannot be read, or does not fit the model."""


class OptionError(CheckpointError):
    """A checkpoint does not tell something that an option must say, or the option contradicts it.

    Whoever offers the option adds what it is called there: a flag, or a field of a page.

    Attributes:
        option: Name of the option in the library.
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class DataError(TokenLearnerError):
    """A training or evaluation data set that cannot be used."""


class TrainingError(TokenLearnerError):
    """A training run that ended with a network one should not ship."""


class DeviceError(TokenLearnerError):
    """A device that is missing, or whose memory does not hold even one item."""


class FeaturesGone(TokenLearnerError, LookupError):
    """Features that were kept for a quick second look have been dropped; a new analysis brings them back."""


class FeaturesNotKept(TokenLearnerError, LookupError):
    """A quick second look needs features that never were kept; a new analysis like the last does not bring them."""


class Cancelled(TokenLearnerError):
    """The caller asked to stop; nothing was left half-written."""
