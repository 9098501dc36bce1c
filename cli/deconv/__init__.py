"""The sheets of `nstbatch deconv`, of each kind."""
