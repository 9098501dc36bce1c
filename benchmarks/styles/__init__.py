"""The ways to paint of ``stylize``, presets, style losses and methods, timed in turns."""
