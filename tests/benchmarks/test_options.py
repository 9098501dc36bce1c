import pytest

from nstbatch.benchmarks.options import (
    PEERS,
    PROVIDERS,
    VERBS,
    BenchOptions,
    Entry,
    as_list,
    parse_entries,
    parse_numbers,
)
from nstbatch.benchmarks.tasks.tasks import MAKERS
from nstbatch.runtime.errors import UnknownNameError, UsageError


def test_every_verb_has_a_task():
    assert tuple(MAKERS) == VERBS


def test_entries_are_read_with_their_precision():
    entries = parse_entries(" cpu, openvino:fp32 ,")
    assert entries == (Entry("cpu"), Entry("openvino", "fp32"))
    assert list(map(str, entries)) == ["cpu", "openvino:fp32"]
    assert parse_entries("") == ()


@pytest.mark.parametrize("entries", [BenchOptions().providers, BenchOptions().against])
def test_the_defaults_are_read_as_they_are_shown(entries):
    assert parse_entries(as_list(entries)) == entries


def test_numbers_come_in_order_and_once():
    assert parse_numbers("--sizes", "512, 256,512") == (256, 512)
    with pytest.raises(UsageError, match=r"--sizes takes whole numbers.*'256,big'"):
        parse_numbers("--sizes", "256,big")


def test_everybody_takes_part_once_devices_first():
    options = BenchOptions(
        providers=parse_entries("openvino,cpu,cpu"), against=parse_entries("torch,torch-bf16")
    )
    assert list(map(str, options.entries)) == ["openvino", "cpu", "torch", "torch-bf16"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"verb": "paint"}, "Unknown verb 'paint'"),
        ({"providers": parse_entries("cuba")}, "Did you mean 'cuda'"),
        ({"providers": parse_entries("cpu:fp8")}, "Unknown precision 'fp8'"),
        ({"against": parse_entries("jax")}, f"Known: {', '.join(PEERS)}"),
    ],
)
def test_unknown_names_list_the_known_ones(wrong, message):
    with pytest.raises(UnknownNameError, match=message):
        BenchOptions(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"against": parse_entries("torch:bf16")}, "since its name says it: torch:bf16"),
        ({"providers": (), "against": ()}, "no provider and no baseline"),
        ({"sizes": ()}, "no sizes"),
        ({"batches": ()}, "no batches"),
        ({"sizes": (256, 0)}, "sizes must be a whole number of at least 1, not 0"),
        ({"rounds": 0}, "rounds must be a whole number of at least 1"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"warm_up": 0}, "warm_up must be a whole number of at least 1"),
    ],
)
def test_nothing_to_measure_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        BenchOptions(**wrong)


def test_providers_and_baselines_share_no_name():
    assert not set(PROVIDERS) & set(PEERS)
