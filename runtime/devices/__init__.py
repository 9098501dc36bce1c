"""Finds the usable devices and sets provider options. Opens sessions only to test a device."""
