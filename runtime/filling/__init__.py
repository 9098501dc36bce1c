"""The library call behind `fill`: a hole of a picture, filled with copies of its own patches.

Only `filling.py` knows the network; the other files are arithmetic on arrays.
"""
