"""Selection of an instrument's channels for a profile, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Names of the channels -> their spellings by instruments and programs. Only letters and
# digits count, in any case. "FL Red HS" and "FL Red LS" (two sensitivities), "2 FL Red"
# (a second laser) and ratios are left out: which to use is the user's decision.
SPELLINGS = {
    "FWS": ("FWS", "FSC", "Forward Scatter", "Forwards Scatter"),
    "FWS L": ("FWS L", "FWS Left", "Forward Scatter Left", "Forwards Scatter Left"),
    "FWS R": ("FWS R", "FWS Right", "Forward Scatter Right", "Forwards Scatter Right"),
    "SWS": (
        "SWS",
        "SSC",
        "Side Scatter",
        "Sideward Scatter",
        "Sidewards Scatter",
        "Sideways Scatter",
    ),
    "FL Yellow": ("FL Yellow", "FLY", "Yellow Fluorescence", "Fluorescence Yellow"),
    "FL Orange": ("FL Orange", "FLO", "Orange Fluorescence", "Fluorescence Orange"),
    "FL Red": ("FL Red", "FLR", "Red Fluorescence", "Fluorescence Red"),
    "FL Green": ("FL Green", "FLG", "Green Fluorescence", "Fluorescence Green"),
    "FL Blue": ("FL Blue", "FLB", "Blue Fluorescence", "Fluorescence Blue"),
    "Curvature": ("Curvature",),
}
# Those of the published profiles, in their order.
AUTO = ("FWS", "SWS", "FL Yellow", "FL Orange", "FL Red", "Curvature")
# "FWS" is their sum; used if the sum is not in the file.
FORWARD_HALVES = ("FWS L", "FWS R")

Channels = str | Sequence[str] | Mapping[str, str]


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


_NAMES = {
    _letters(spelling): name
    for name, spellings in SPELLINGS.items()
    for spelling in spellings
}


def channel_name(description: str) -> str:
    """The name of a channel, for any spelling in its description."""
    return _NAMES.get(_letters(description), description.strip())


def _same(description: str, wanted: str) -> bool:
    one, other = _letters(description), _letters(wanted)
    return _NAMES.get(one, one) == _NAMES.get(other, other)


def check_channels(channels: Channels) -> Channels:
    """Check the form of `channels`; return "auto", a list or a dict."""
    if isinstance(channels, str):
        if channels != "auto":
            raise ValueError(
                f"channels={channels!r}; expected 'auto', a list of channel names or "
                f"a dict. For one channel pass channels=[{channels!r}]."
            )
        return channels
    if isinstance(channels, Mapping):
        names = list(channels)
        texts = [*channels, *channels.values()]
    elif isinstance(channels, Sequence):
        texts = list(channels)
        names = [channel_name(text) for text in texts if isinstance(text, str)]
    else:
        raise TypeError(
            f"channels is {type(channels).__name__}; expected 'auto', a list of "
            "channel names or a dict."
        )
    invalid = [text for text in texts if not isinstance(text, str)]
    if invalid:
        raise TypeError(f"channels has {invalid[0]!r}; expected names of channels.")
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"channels={channels!r} {'has a channel twice' if names else 'is empty'}; "
            "expected each channel once, and at least one."
        )
    return dict(channels) if isinstance(channels, Mapping) else list(channels)


def select_channels(descriptions: Sequence[str], channels: Channels) -> dict[str, int]:
    """Name of each chosen channel -> its position among the descriptions, in order."""
    if channels == "auto":
        known = {channel_name(description) for description in descriptions}
        halved = "FWS" not in known and known.issuperset(FORWARD_HALVES)
        names: tuple[str, ...] = (*FORWARD_HALVES, *AUTO[1:]) if halved else AUTO
        # An instrument may lack a detector. But a channel with an unknown name may be
        # the missing one: we do not guess.
        if known & set(names) and known <= set(SPELLINGS):
            names = tuple(name for name in names if name in known)
        return {name: _position(name, descriptions, exact=False) for name in names}
    if isinstance(channels, Mapping):
        return {name: _position(text, descriptions) for name, text in channels.items()}
    return {channel_name(text): _position(text, descriptions) for text in channels}


def _position(wanted: str, descriptions: Sequence[str], exact: bool = True) -> int:
    found = [i for i, text in enumerate(descriptions) if exact and text == wanted]
    if not found:
        found = [i for i, text in enumerate(descriptions) if _same(text, wanted)]
    if len(found) == 1:
        return found[0]
    known = [name for name in AUTO if name in map(channel_name, descriptions)]
    if found:
        problem = (
            f"several channels are {wanted!r}: {[descriptions[i] for i in found]}. "
            f"Choose one, as in channels={{{wanted!r}: {descriptions[found[0]]!r}, …}}"
        )
    else:
        problem = (
            f"no channel {wanted!r}. Pass channels=[…] with the ones to use, in order "
            f"(of the standard ones, the file has {known}), or channels={{{wanted!r}: "
            "'name in the file', …}"
        )
    raise ValueError(f"{problem}. The channels are {list(descriptions)}.")
