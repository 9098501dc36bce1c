"""Finds the usable devices of this machine and sets provider options.

The only sessions opened here are those of one node that test a device.
"""
