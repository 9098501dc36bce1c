import pytest

from nstbatch.benchmarks.contest.stages import (
    STAGES,
    StageJob,
    Stopwatch,
    measure_stages,
    stages_of,
)
from nstbatch.benchmarks.tasks.turns import ContestantError
from nstbatch.runtime.devices.providers import Provider

JOB = StageJob("squeezenet1_1", Provider("cpu", "fp32"), size=64, threads=1, iterations=4)


def test_a_stage_within_another_takes_its_time_from_it():
    now = [0.0]
    watch = Stopwatch(lambda: now[0])
    now[0] = 1
    with watch.stage("targets"):
        now[0] = 3
        with watch.stage("open"):
            now[0] = 10
        now[0] = 14
    with watch.stage("open"):
        now[0] = 15
    now[0] = 20
    watch.stop()
    spent = {stage: seconds for stage, seconds in watch.seconds.items() if seconds}
    assert spent == {"rest": 6, "targets": 6, "open": 8}
    assert tuple(watch.seconds) == STAGES


def test_a_stage_that_fails_is_over():
    now = [0.0]
    watch = Stopwatch(lambda: now[0])

    def fail():
        with watch.stage("read"):
            now[0] = 2
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        fail()
    now[0] = 5
    watch.stop()
    assert (watch.seconds["read"], watch.seconds["rest"]) == (2, 3)


def test_every_stage_of_a_picture_takes_its_time(tmp_path):
    stages = stages_of(JOB, tmp_path)
    assert (stages.provider, stages.precision, stages.size, stages.steps) == ("cpu", "fp32", 64, 4)
    assert tuple(stages.seconds) == STAGES
    assert min(stages.seconds.values()) > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "painted.jpg",
        "photo.jpg",
        "style.jpg",
    ]


def test_a_failure_in_its_process_has_a_reason():
    with pytest.raises(ContestantError, match="Unknown model 'vgg61'"):
        measure_stages(StageJob("vgg61", Provider("cpu", "fp32"), size=64, threads=1))
