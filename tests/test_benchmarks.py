"""The benchmarks compute what they say: contenders the same network, figures from rounds, the page from the results."""

from __future__ import annotations

import importlib
import re

import pytest
from benchmarks import comparing, figures, processes, report, rounds, sections, sweeps, worker
from benchmarks.contenders import CONTENDERS, FRAMEWORKS
from benchmarks.parts import PARTS
from benchmarks.peers import PEERS

SMALL, V_TH = (3, 12, 4, 7, 3), 1.3
ROWS = {
    "torch e-prop": [[{"cpu": cpu, "wall": 2 * cpu, "loss": 1.0, "rate": 0.05} for cpu in (3.0, 1.0, 8.0)]],
    "torch by hand": [[{"cpu": cpu, "wall": 4 * cpu, "loss": 1.0, "rate": 0.05} for cpu in (6.0, 4.0, 4.0)]],
}


def losses(name, rate, monkeypatch):
    """The losses of the first steps at a learning rate that shows in them."""
    contender = CONTENDERS[name]
    for module in {contender.module, f"steps_{name.split()[0]}"} - {"steps_tensorflow"}:
        module = importlib.import_module(f"benchmarks.{module}")
        if hasattr(module, "LEARNING_RATE"):
            monkeypatch.setattr(module, "LEARNING_RATE", rate)
    steps = contender.build(SMALL, V_TH)
    assert 0.0 < steps.rate() < 1.0
    return [steps.step() for _ in range(6)]


@pytest.mark.quick("torch")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_written_by_hand_trains_as_the_library(framework, monkeypatch):
    by_hand, library = (losses(f"{framework} {way}", 0.03, monkeypatch) for way in ("by hand", "BPTT"))
    assert by_hand == pytest.approx(library, rel=1e-5)


def test_chunks_train_as_the_whole_and_another_rule_otherwise(monkeypatch):
    bptt, whole, chunks = (losses(f"torch {way}", 0.03, monkeypatch) for way in ("BPTT", "e-prop", "chunk=64"))
    assert whole == pytest.approx(chunks, rel=1e-5)
    assert whole[0] == pytest.approx(bptt[0], rel=1e-6)
    assert whole[-1] != pytest.approx(bptt[-1], rel=1e-4)  # so the losses show which gradient was followed


def test_a_comparison_is_measured_beside_the_gradients_of_its_rules():
    found = comparing.measure("torch", (3, 12, 4, 7, 3), 1)
    assert set(comparing.RULES) | {"together", "statistics", "ratio", "rate"} == set(found)
    assert all(value > 0.0 for name, value in found.items() if name != "rate")
    expected = (found["together"] + found["statistics"]) / sum(found[rule] for rule in comparing.RULES)
    assert found["ratio"] == pytest.approx(expected), "of one round"


def test_a_threshold_gives_the_firing_rate_that_is_asked_for():
    shape = (8, 60, 4, 30, 3)
    model = CONTENDERS["torch by hand"]
    few, many = worker.thresholds(model, [{"shape": shape, "rate": rate} for rate in (0.02, 0.2)])
    assert few > many
    assert model.build(shape, few).rate() == pytest.approx(0.02, rel=0.02)
    assert model.build(shape, many).rate() == pytest.approx(0.2, rel=0.02)


@pytest.mark.slow
def test_a_worker_measures_in_a_process_of_its_own():
    (row,) = processes.work("torch by hand", "speed", cases=[{"shape": SMALL, "v_th": V_TH}], seconds=0.0)
    steps = CONTENDERS["torch by hand"].build(SMALL, V_TH)
    assert row["steps"] >= 1
    assert row["cpu"] > 0.0
    assert row["rate"] == pytest.approx(steps.rate(), abs=1e-6)
    assert row["loss"] == pytest.approx(steps.step(), rel=1e-6)
    with pytest.raises(RuntimeError, match="torch by hand, speed: "):
        processes.work("torch by hand", "speed", cases=[{"shape": [1], "v_th": V_TH}], seconds=0.0)


def test_figures_are_medians_of_rounds_and_ratios_within_a_round():
    assert figures.median(ROWS, "torch e-prop", 0) == 3.0
    assert figures.median(ROWS, "torch by hand", 0, "wall") == 16.0
    assert figures.ratio(ROWS, "torch e-prop", "torch by hand", 0) == 0.5
    assert figures.ratio(ROWS, "torch e-prop", "torch by hand", 0, "wall") == 0.25
    assert figures.ratio(ROWS, "torch e-prop", "Spyx", 0) is None
    assert [figures.number(x) for x in (0.01234, 1.5, 23.46, 1234.5, None)] == ["0.0123", "1.50", "23.5", "1,234", "–"]


def test_contenders_of_one_network_must_compute_the_same_loss():
    rounds.check_losses(ROWS, 1)
    other = {"torch BPTT": [[{"loss": 1.01, "rate": 0.05}]]}
    with pytest.raises(RuntimeError, match="not the same loss of the network 'alif' in case 0"):
        rounds.check_losses(ROWS | other, 1)
    rounds.check_losses(ROWS | {"Spyx": [[{"loss": 2.0, "rate": 0.05}]]}, 1)


def test_every_round_has_every_contender_in_a_process_and_one_that_fails_is_named(monkeypatch):
    asked = []

    def work(name, task, threads=1, **arguments):
        asked.append((name, task, threads))
        if task == "thresholds":
            return [2.0 for _ in arguments["cases"]]
        if name == "torch e-prop":
            raise RuntimeError("a reason")
        assert [case["v_th"] for case in arguments["cases"]] == [2.0, 2.0]
        return [{"cpu": len(asked), "wall": 1.0, "loss": 1.0, "rate": 0.05} for _ in arguments["cases"]]

    monkeypatch.setattr(rounds, "work", work)
    cases = [{"shape": [3, time, 4, 7, 3], "rate": 0.05} for time in (10, 5000)]
    names = ["torch by hand", "torch BPTT", "torch e-prop"]
    found = rounds.measure(names, cases, rounds=3, seconds=0.0, say=lambda _: None, threads=2)
    assert asked[0] == ("torch by hand", "thresholds", 1)
    assert sorted(asked[1:]) == sorted(
        [(name, "speed", 2) for name in names[:2] for _ in range(3)] + [("torch e-prop", "speed", 2)]
    )
    assert {name: [len(case) for case in rows] for name, rows in found["rows"].items()} == {
        "torch by hand": [3, 3],
        "torch BPTT": [3, 3],
    }
    assert found["failed"] == {"torch e-prop": "a reason"}


@pytest.mark.slow
def test_a_sweep_is_measured_beside_its_runs():
    found = sweeps.measure(1, 2)
    assert len(found["alone"]) == 2
    for clock, workers in (("cpu", 1), ("wall", found["workers"])):
        ideal = sum(row[clock] for row in found["alone"]) / workers
        assert found["ratio"][clock] == pytest.approx(found["sweep"][clock] / ideal)
    assert found["ratio"]["cpu"] > found["ratio"]["own"] > 1.0, "loading the framework is in it"


def made_up():
    """Results of a few sections, as they are saved."""
    machine = {"date": "a day", "cpu": "a processor", "cores": 2, "system": "a system", "versions": {"torch": "1.0"}}
    cases = {"alif": [{"shape": [3, 1200, 4, 7, 3], "rate": 0.05, "v_th": V_TH}]}
    steps = {
        "cases": cases,
        "rows": ROWS,
        "failed": {"Norse": "a reason"},
        "rounds": 3,
        "seconds": 1.0,
        "missing": {"spyx": "no wheel"},
    }
    found = {
        "speed": steps,
        "rates": steps,
        "updates": steps,
        "sampling": [
            {
                "density": "Gaussian",
                "sampler": "MALA",
                "acceptance": {"ours": 0.574, "theirs": 0.5},
                "us": {"ours": 6.0, "theirs": 14.0},
                "ess per second": {"ours": 8000.0, "theirs": 3500.0},
                "ratio": 2.25,
            }
        ],
        "length": steps,
        "width": steps,
        "memory": [{"contender": "torch BPTT", "shape": [3, 1200, 4, 7, 3], "peak": 900.0, "idle": 300.0}],
        "first": {f"torch {way}": [{"cpu": cpu, "wall": 5.0}] for way, cpu in (("by hand", 1.0), ("e-prop", 3.0))},
        "threads": {"1": steps, "2": steps},
        "rules": {
            "shape": [16, 100, 4, 7, 3],
            "rounds": 2,
            "rows": {
                "bptt": [[{"cpu": 4.0, "peak": 500.0, "rate": 0.05}, {"cpu": 8.0, "peak": 520.0, "rate": 0.05}]],
                "rtrl": [[{"cpu": 80.0, "peak": 900.0, "rate": 0.05}, {"cpu": 80.0, "peak": 900.0, "rate": 0.05}]],
            },
            "idle": 400.0,
            "failed": {"ottt": "another reason"},
        },
        "comparison": [
            {"backend": "torch", "shape": [3, 1200, 4, 7, 3], "ratio": 1.25, "rate": 0.05, "bptt": 4.0, "together": 5.0}
        ],
        "encoders": [{"code": "A()", "seconds": 0.5, "passes": 7.0}],
        "feeding": {"torch": {"epoch": 3.0, "checkpoint %": 0.1, "checkpoint": 1.0, "loader": 1.0}},
        "sweeps": {
            "epochs": 3,
            "runs": 4,
            "workers": 2,
            "alone": [{"cpu": 19.0, "wall": 20.0}, {"cpu": 21.0, "wall": 20.0}],
            "sweep": {"cpu": 84.0, "wall": 43.2},
            "ratio": {"cpu": 1.05, "wall": 1.08, "own": 1.02},
        },
        "imports": {"numpy": 0.1, "with neko": 0.2, "difference": 0.1},
    }
    return {
        name: {"machine": machine, "command": f"measure {name}", "took": 7, "found": of} for name, of in found.items()
    }


def test_the_report_shows_every_section_with_how_it_came_about():
    results = made_up()
    assert list(results) == list(PARTS) == list(sections.SECTIONS)
    page = report.page(results)
    assert "| torch e-prop | 3.00 (6.00; 5.0 %) |" in page
    assert "| torch e-prop / torch by hand | 0.500 |  |" in page
    assert "| torch BPTT | 600 (900, 300) |" in page
    assert "| torch e-prop | 3.00 | 5.00 | 2.00 |" in page
    assert "| Gaussian, MALA | 0.57 | 8,000 | 3,500 | 2.25 | 6.00 | 14.0 |" in page
    assert "Norse failed: a reason." in page
    assert "| [`rtrl`](rules.md#rtrl) | 80.0 | 15.0 | 500 |" in page
    assert "`ottt` refuses this network: another reason." in page
    assert "| `bptt` | 4.00 |" in page
    assert "| ratio | 1.25 |" in page
    assert "| CPU time | 20.0 | 80.0 | 84.0 | 1.05 |" in page
    assert "| the clock | 20.0 | 40.0 | 43.2 | 1.08 |" in page
    assert "spyx was not installed: no wheel." in page
    for name in results:
        assert f"`measure {name}`, a day, 7 s." in page
    assert page.count("Measured on 2 cores of a processor, a system; torch 1.0.") == 1
    results["width"]["machine"] = results["width"]["machine"] | {"cores": 4}
    assert "`measure width`, a day, 7 s, on 4 cores of a processor, a system; torch 1.0." in report.page(results)
    without = report.page({name: of for name, of in results.items() if name != "memory"})
    assert "Peak memory" in page
    assert "Peak memory" not in without


def test_the_page_of_speed_is_what_the_report_writes():
    assert report.PAGE.read_text(encoding="utf-8") == report.page(report.load())


def test_every_peer_is_pinned_and_measured():
    named = {contender.peer for contender in CONTENDERS.values()} - {None}
    assert named == set(PEERS)
    for peer in PEERS.values():
        assert len(re.findall(rf"\b{peer.name}==[\d.]+", " ".join((*peer.needs, *peer.alone)))) == 1
        assert not any(re.fullmatch(r"torch(?!==).*", need) for need in (*peer.needs, *peer.alone))
