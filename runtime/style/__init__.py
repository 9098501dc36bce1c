"""The parts of a style transfer that need no network run: options, presets, objective."""
