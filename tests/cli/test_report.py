import pytest

from nstbatch.cli.main import run


def test_the_verb_makes_the_page_and_prints_where(batch, capsys):
    batch.image("a.png")
    assert run(["report", str(batch.out)]) == 0
    assert capsys.readouterr().out.strip() == str(batch.out / "report.html")
    assert (batch.out / "report.html").is_file()


def test_it_can_be_opened_at_once(batch, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    batch.image("a.png")
    assert run(["report", str(batch.out), "--open"]) == 0
    assert opened == [(batch.out / "report.html").as_uri()]


@pytest.mark.parametrize("folder", [".", "gone"])
def test_without_a_batch_it_is_wrong_usage(tmp_path, capsys, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    assert run(["report", folder]) == 2
    assert "There is no nstbatch.jsonl in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
