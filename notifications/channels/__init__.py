"""One module a channel, found by its CHANNEL; the module's name is the channel's."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from notifications.message import Channel, ChannelSettings

CHANNELS: Mapping[str, type[Channel]] = {
    found.name: import_module(f"{__name__}.{found.name}").CHANNEL
    for found in iter_modules(__path__)
}
FALLBACK = "log"


def open_channels(settings: ChannelSettings) -> dict[str, Channel]:
    """Return every channel by name; what is not set up writes to the log instead."""
    opened = {
        name: kind.from_settings(settings) or CHANNELS[FALLBACK].from_settings(settings)
        for name, kind in CHANNELS.items()
    }
    return {name: channel for name, channel in opened.items() if channel is not None}


def log_only(settings: ChannelSettings) -> dict[str, Channel]:
    """Return the log in the place of every channel, whatever is set up."""
    written = CHANNELS[FALLBACK].from_settings(settings)
    return dict.fromkeys(CHANNELS, written) if written is not None else {}
