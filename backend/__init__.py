"""Stores what arrives and decides what follows: alone in knowing the database."""

import zoneinfo

# Before anything here can make a ZoneInfo: zones come from the locked tzdata package,
# not from whatever the machine carries, so that everybody expands the same doses.
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()
