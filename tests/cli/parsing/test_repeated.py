import pytest

from nstbatch.cli.parsing.repeated import CHECKPOINT_SUFFIXES, repeated


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("p --c 1.pth", "p --c 1.pth"),
        ("p --c 1.pth 2.PT 3.safetensors", "p --c 1.pth --c 2.PT --c 3.safetensors"),
        ("--c 1.pth 2.pth photos", "--c 1.pth --c 2.pth photos"),
        ("--c 1.pth photos 2.pth", "--c 1.pth photos 2.pth"),
        ("--c 1.pth -o out 2.pth", "--c 1.pth -o out 2.pth"),
        ("--c weights 2.pth", "--c weights --c 2.pth"),
        ("--c 1.pth --c 2.pth 3.pth", "--c 1.pth --c 2.pth --c 3.pth"),
        ("2.pth --c", "2.pth --c"),
        ("--c 1.pth -- 2.pth", "--c 1.pth -- 2.pth"),
        ("", ""),
    ],
)
def test_the_option_is_repeated(words, expected):
    assert list(repeated("--c", CHECKPOINT_SUFFIXES, words.split())) == expected.split()
