"""The parts of a style transfer that run no network: options, objective, paintings, colours."""
