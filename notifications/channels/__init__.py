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
    """Return the channels that are set up, by name, and the log.

    Where none is, all write to the log instead. Where one is, a message by another is
    refused, so that the next way to the person is taken: it must not pretend.
    """
    opened = {name: kind.from_settings(settings) for name, kind in CHANNELS.items()}
    set_up = {name: channel for name, channel in opened.items() if channel is not None}
    return set_up if set_up.keys() > {FALLBACK} else log_only(settings)


def log_only(settings: ChannelSettings) -> dict[str, Channel]:
    """Return the log in the place of every channel, whatever is set up."""
    written = CHANNELS[FALLBACK].from_settings(settings)
    return dict.fromkeys(CHANNELS, written) if written is not None else {}
