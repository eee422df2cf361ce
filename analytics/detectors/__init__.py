"""Detectors, one file each, found by their DETECTOR."""

from importlib import import_module
from pkgutil import iter_modules

from analytics.findings import Detector, Finding, History

__all__ = ["DETECTORS", "Detector", "Finding", "History"]

_modules = [
    import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)
]
DETECTORS: dict[str, Detector] = {
    module.DETECTOR.name: module.DETECTOR for module in _modules
}
