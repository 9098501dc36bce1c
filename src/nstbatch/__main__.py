"""``python -m nstbatch``."""

from nstbatch.cli.main import program

if __name__ == "__main__":
    program()
