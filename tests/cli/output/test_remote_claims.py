"""Claims in a store: for one process at a time, renewed, and taken over when their lease ends."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator

import pytest
from store_server import BUCKET, StoreServer, serving

from nstbatch.cli.output import remote_claims, remote_records
from nstbatch.cli.output.kept import Kept, kept_in
from nstbatch.cli.output.remote_claims import LostClaimError
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.storage import retries
from nstbatch.runtime.storage import store as stores
from nstbatch.runtime.storage.addresses import located

LINE = {"kind": "image", "run": "1", "input": "p/a.jpg", "output_in_folder": "a.jpg"}
DONE = {**LINE, "status": "done", "fingerprint": "f"}
FAILED = {**LINE, "status": "failed", "reason": "too small"}


class Opener:
    """Opens an output folder of its own, each time as another process would."""

    _numbers = itertools.count()

    def __init__(self) -> None:
        self.prefix = f"claims-{next(self._numbers)}/"
        self.opened: list[Kept] = []

    def __call__(self) -> Kept:
        self.opened.append(kept_in(located(f"s3://{BUCKET}/{self.prefix}")))
        return self.opened[-1]


@pytest.fixture(scope="module")
def server() -> Iterator[StoreServer]:
    with pytest.MonkeyPatch.context() as patch, serving(patch) as found:
        patch.setattr(retries, "FIRST_WAIT", 0.001)
        stores._opened.cache_clear()
        yield found
        stores._opened.cache_clear()


@pytest.fixture
def again(server, monkeypatch) -> Iterator[Opener]:
    monkeypatch.setattr(remote_claims, "PATIENCE", 0.0)
    opener = Opener()
    yield opener
    for kept in opener.opened:
        kept.claims.close()


def test_a_claim_is_for_one_at_a_time(again, server):
    first, second = again(), again()
    with first.claims.take("a.jpg") as claim:
        assert claim is not None
        assert second.claims.take("a.jpg") is None
        with second.claims.take("deep/b.jpg") as other:
            assert other.token != claim.token
    with second.claims.take("a.jpg"):
        pass
    for key in server.keys(again.prefix):
        record = json.loads(server.get(key))
        assert (record["holder"], record["intent"], record["lines"]) == ("", None, [])


def test_a_line_ends_the_claim_and_others_see_it(again):
    first, second = again(), again()
    with first.claims.take("a.jpg"):
        first.ledger.append(FAILED)
    with second.claims.take("a.jpg"):
        assert second.ledger.last("a.jpg").reason == "too small"
        second.ledger.append(DONE)
    with first.claims.take("a.jpg"):
        assert first.ledger.last("a.jpg").done
        first.ledger.append(FAILED)
    third = again().ledger
    assert not third.last("a.jpg").done
    assert third.last_done("a.jpg").fingerprint == "f"
    assert [line.output for line in third.failures] == ["a.jpg"]
    with second.claims.take("a.jpg"):
        pass
    assert again().ledger.last_done("a.jpg").fingerprint == "f"  # giving back keeps the lines


def test_a_claim_that_nobody_renews_is_taken_over_with_its_intent(again, monkeypatch):
    first, second = again(), again()
    claim = first.claims.take("a.jpg")
    claim.intend(DONE)
    first.claims.close()  # as if it had been killed
    assert second.claims.take("a.jpg") is None
    assert again().ledger.is_under_way("a.jpg")
    monkeypatch.setattr(remote_records, "LEASE", -5.0)  # the store's clock shows whole seconds
    (left,) = second.claims.left_behind()
    monkeypatch.undo()
    assert left.intended["fingerprint"] == "f"
    with left:
        with pytest.raises(LostClaimError):
            claim.intend(DONE)
        claim.__exit__(None, None, None)  # takes nothing away from its new holder
        second.ledger.append(DONE)
    assert not again().ledger.is_under_way("a.jpg")


def test_a_renewed_claim_lasts_longer_than_its_lease(again, monkeypatch):
    monkeypatch.setattr(remote_records, "LEASE", 2.0)
    first, second = again(), again()
    for kept in (first, second):
        kept.claims.check_writable()  # sets the clocks
    with first.claims.take("a.jpg") as claim:
        ends = time.monotonic() + 4.5
        while time.monotonic() < ends:
            assert second.claims.take("a.jpg") is None
            time.sleep(0.3)
        claim.intend(DONE)
        first.ledger.append(DONE)
    with second.claims.take("a.jpg"):
        assert second.ledger.last("a.jpg").done


def test_a_lost_answer_is_no_lost_claim(again, server):
    kept = again()
    dropped = iter(["drop after", None] * 3)
    server.fault = lambda request: (
        next(dropped, None) if request["REQUEST_METHOD"] == "PUT" else None
    )
    with kept.claims.take("a.jpg") as claim:
        claim.intend(DONE)
        kept.ledger.append(DONE)
    server.fault = lambda request: None
    assert next(dropped, None) is None
    assert again().ledger.last("a.jpg").done


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b'{"lines": 3, "intent": 1}', b"\xff"])
def test_a_damaged_record_counts_as_empty(again, server, data):
    kept = again()
    with kept.claims.take("a.jpg"):
        kept.ledger.append(DONE)
    key = f"{again.prefix}.nstbatch/pictures/a.jpg.json"
    server.put(key, data)
    damaged = again()
    assert damaged.ledger.last("a.jpg") is None
    with damaged.claims.take("a.jpg"):
        damaged.ledger.append(DONE)
    assert json.loads(server.get(key))["lines"] == [DONE]


def test_a_run_is_in_the_ledger(again):
    kept = again()
    assert not kept.ledger.is_there
    kept.ledger.append({"kind": "run", "run": "5", "verb": "stylize", "time": "2026"})
    assert again().ledger.is_there
    assert again().ledger.runs["5"].verb == "stylize"


def test_the_web_takes_no_pictures():
    with pytest.raises(UsageError, match="can only be read"):
        kept_in(located("https://host/out"))


def test_missing_packages_are_named_in_a_sentence(monkeypatch):
    stores._opened.cache_clear()
    monkeypatch.setitem(sys.modules, "nstbatch.runtime.storage.s3", None)
    with pytest.raises(UsageError, match=r"packages that are not installed .*nstbatch\[storage\]"):
        kept_in(located("s3://bucket/out"))
    stores._opened.cache_clear()
