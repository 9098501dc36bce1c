"""Each switch changes one choice, and gets a row of its own in the first case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nstbatch.benchmarks.gpu.speed import Speed, switch_jobs
from nstbatch.benchmarks.gpu.switches import SWITCHES, Switch, Switched
from nstbatch.benchmarks.options import Entry
from nstbatch.runtime.devices import provider_options, providers
from nstbatch.runtime.devices.providers import Provider

SPEED = Speed(
    model="alexnet",
    entries=(Entry("cuda", "fp16"), Entry("cuda", "fp32")),
    variants=(),
    sizes=(64,),
    batches=(1,),
    rounds=1,
    steps=1,
    warm_up=1,
    threads=1,
    peer_device="cuda",
    switches=SWITCHES,
)


def chosen(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All that a provider chooses for a session on CUDA."""
    taken: dict[str, Any] = {}

    def add(options: Any, device: str, **choices: Any) -> None:
        usual = provider_options.cuda_options(choices["precision"], choices["captured"])
        taken.update({**usual, **choices["changes"], "pattern": options.enable_mem_pattern})

    monkeypatch.setattr(providers, "add_provider", add)
    provider.session_options(1, captured=provider.captures)
    return taken


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_a_switch_changes_what_it_says(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = chosen(Provider("cuda", switch.precision), monkeypatch)
    switched = chosen(Switched("cuda", switch.precision, switch=switch), monkeypatch)
    differing = {name: value for name, value in switched.items() if usual[name] != value}
    expected: dict[str, Any] = dict(switch.changes)
    expected |= {} if switch.captures else {"enable_cuda_graph": "0"}
    expected |= {"pattern": True} if switch.plans_memory else {}
    assert differing == expected
    assert differing


def test_targets_and_updates_are_switched_too() -> None:
    provider = Switched("cuda", "fp16", switch=SWITCHES[0])
    for other in (provider.for_targets, provider.for_updates, replace(provider, gpu=1)):
        assert isinstance(other, Switched)
        assert hash(other)
        assert other.changes == provider.changes


def test_a_row_for_each_switch_that_is_not_done() -> None:
    (case,) = SPEED.cases
    jobs = list(switch_jobs(SPEED, case, ()))
    assert [job.name for job in jobs] == [f"cuda {switch.name}" for switch in SWITCHES]
    rest = list(switch_jobs(SPEED, case, {jobs[0].key, jobs[3].key}))
    assert [job.name for job in rest] == [job.name for job in jobs if job not in (jobs[0], jobs[3])]
    on_processor = replace(SPEED, entries=(Entry("cpu", "fp32"),))
    assert list(switch_jobs(on_processor, case, ())) == []
    half = replace(SPEED, entries=SPEED.entries[:1])
    assert {job.precision for job in switch_jobs(half, case, ())} == {"fp16"}
