# SPDX-License-Identifier: BSD-3-Clause
"""Arguments that make no sense, or nearly none: never a wrong verdict, never a riddle."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import symrnn
from symrnn.cli import main
from symrnn.errors import ShapeError, SourceError, UnsupportedError
from symrnn.kernels.schedule import as_written
from symrnn.testing import assert_explained_by_rounding
from tests.require import require_module

torch = require_module("torch")


def _layer(kind: str = "LSTM", *sizes: int, **options: Any) -> Any:
    torch.manual_seed(5)
    return getattr(torch.nn, kind)(*(sizes or (4, 5)), **options)


def _inputs(*shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(6))


def _run(module: Any, x: Any) -> np.ndarray:
    with torch.no_grad():
        output: np.ndarray = module(x)[0].numpy()
    return output


# --- wrong verdicts -----------------------------------------------------------------


def test_a_stated_tolerance_decides_even_without_exact() -> None:
    lstm, x = _layer(), _inputs(7, 4)
    wrong = _run(lstm, x)
    wrong[3, 1] += 0.01
    tolerance = symrnn.Tolerance(ulps=4)
    report = symrnn.audit(lstm, x, outputs=wrong, tolerance=tolerance, exact=False)
    assert report.verdict == "violated"


def test_a_bound_on_the_trajectory_decides_even_without_exact() -> None:
    lstm, x = _layer(num_layers=2), _inputs(7, 4)
    wrong = _run(lstm, x)
    wrong[2, 2] += 0.3
    report = symrnn.audit(lstm, x, outputs=wrong, exact=False)
    assert report.unseen
    assert report.verdict == "violated"


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_an_emulation_that_rounds_every_operation_is_honest(kind: str) -> None:
    net, x = _layer(kind, 33, 33), 3 * _inputs(20, 33)
    report = symrnn.audit(net, x, format="bfloat16", schedule="as written")
    assert report.verdict == "holds"
    assert report.arithmetic is not None
    assert report.arithmetic.accumulate == "bfloat16"


def test_an_emulation_is_judged_by_the_accumulation_of_its_own_schedule() -> None:
    net, x = symrnn.load(_layer()), _inputs(7, 4)
    schedule = as_written(net.cell, accumulate="float64")
    report = symrnn.audit(net, x, format="float16", schedule=schedule)
    assert report.arithmetic is not None
    assert report.arithmetic.accumulate == "float64"


def test_no_outputs_are_not_explained_by_rounding() -> None:
    with pytest.raises(SourceError, match="outputs that were computed, got None"):
        assert_explained_by_rounding(None, _layer(), _inputs(7, 4))


# --- messages -----------------------------------------------------------------------


def test_an_empty_batch_has_no_layers_that_could_not_be_judged() -> None:
    report = symrnn.audit(_layer(), torch.zeros(7, 0, 4))
    assert report.unseen == ()
    assert any("0 elements" in note for note in report.notes)


@pytest.mark.parametrize("schedule", [3, [], {}])
def test_a_schedule_that_is_none(schedule: Any) -> None:
    with pytest.raises(TypeError, match=r"as written, torch cpu, .*got"):
        symrnn.audit(_layer(), _inputs(7, 4), format="bfloat16", schedule=schedule)


def test_a_schedule_of_torch_itself() -> None:
    with pytest.raises(TypeError, match="give format= too"):
        symrnn.audit(_layer(), _inputs(7, 4), schedule="as written")


@pytest.mark.parametrize("executor", [3, "threads", object()])
def test_an_executor_that_is_none(executor: Any) -> None:
    with pytest.raises(TypeError, match=r"concurrent\.futures\.Executor"):
        symrnn.audit(_layer(), _inputs(7, 3, 4), executor=executor)


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("f4"), "float32"])
def test_a_format_by_any_name(dtype: Any) -> None:
    lstm, x = _layer(), _inputs(7, 4)
    outputs = _run(lstm, x).astype(np.float64)
    assert symrnn.audit(lstm, x, outputs=outputs, dtype=dtype).verdict == "holds"


def test_several_results_in_a_list() -> None:
    lstm, x = _layer(), _inputs(7, 4)
    with pytest.raises(SourceError, match="several results are a tuple"):
        symrnn.audit(lstm, x, outputs=list(lstm(x)))


# --- the command line ---------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lstm, x = _layer(), _inputs(7, 4)
    wrong = _run(lstm, x)
    wrong[3, 1] += 0.01
    torch.save(lstm.state_dict(), tmp_path / "model.pt")
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "wrong.npy", wrong)
    return tmp_path


def _audit(folder: Path, *options: str) -> Result:
    files = [str(folder / "model.pt"), "-i", str(folder / "x.npy")]
    return CliRunner().invoke(main, ["audit", *files, *options])


def test_outputs_are_not_forgotten_beside_a_format(folder: Path) -> None:
    given = str(folder / "wrong.npy")
    found = _audit(folder, "--outputs", given, "--format", "bfloat16")
    assert found.exit_code == 2
    assert "give one of them" in found.output


def test_a_schedule_is_not_forgotten_without_a_format(folder: Path) -> None:
    found = _audit(folder, "--schedule", "as written")
    assert found.exit_code == 2
    assert "--format" in found.output


def test_no_exact_does_not_switch_off_a_tolerance(folder: Path) -> None:
    given = str(folder / "wrong.npy")
    found = _audit(folder, "--outputs", given, "--ulps", "1", "--no-exact")
    assert found.exit_code == 1


def test_help_shows_an_example_as_lines() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    assert "\\b" not in text
    assert "  symrnn demo\n" in text


def test_a_cache_that_cannot_be_made_is_known_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMRNN_CACHE", str(tmp_path / "file"))
    module = importlib.import_module("symrnn.kernels.calibration")
    monkeypatch.setattr(module, "measure", None)  # calling it would fail
    found = CliRunner().invoke(main, ["calibrate", "--quick", "--format", "bfloat16"])
    assert found.exit_code == 2
    assert str(tmp_path / "file") in found.output


# --- what is run --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RNNCell", "GRUCell"])
def test_a_state_of_a_single_step_is_counted_once(kind: str) -> None:
    report = symrnn.audit(_layer(kind), _inputs(7, 4))
    assert [layer.judged for layer in report.layers] == [7 * 5]


def test_an_empty_verdict_is_no_explanation() -> None:
    """Honest arithmetic overflows here, so that nothing can be judged."""
    cell, x = _layer("GRUCell"), 1e30 * _inputs(1, 4)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(1e30)
    with pytest.raises(UnsupportedError, match="nothing could be judged"):
        assert_explained_by_rounding(np.full((1, 5), 0.5, np.float32), cell, x)


def test_autocast_in_a_cell_is_refused() -> None:
    """Its results are float32, of products in bfloat16."""
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(UnsupportedError, match="autocast is on"),
    ):
        symrnn.audit(_layer("GRUCell"), _inputs(7, 4))


@pytest.mark.parametrize(
    "shapes", [((1, 4), (3, 4)), ((3, 4), (2, 4)), ((4,), (2, 4)), ((1, 4), (4,))]
)
def test_a_stream_does_not_change_its_batch(shapes: tuple[Any, Any]) -> None:
    """The states of one sequence would otherwise become those of several."""
    stream = symrnn.stream(_layer("RNN"), [np.ones(shape) for shape in shapes])
    next(stream)
    with pytest.raises(ShapeError, match=r"step 1: expected .* as the first step has"):
        next(stream)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_sequence_of_one_step_is_enclosed(kind: str) -> None:
    net, x = _layer(kind), _inputs(1, 4)
    digits = symrnn.evaluate(net, x, domain="enclosure").output.decimal(12)
    assert digits == symrnn.evaluate(net, x).output.decimal(12)


def test_bounds_that_are_infinite_judge_nothing_and_say_so() -> None:
    """Three layers with large weights amplify rounding errors to the size of states."""
    net, x = _layer("GRU", 8, 16, num_layers=3), _inputs(60, 8)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(30)
    outputs = _run(net, x)
    report = symrnn.audit(net, x, outputs=outputs)
    [note] = [n for n in report.notes if "no finite bound" in n]
    assert note.startswith("output: ")
    outputs[30, 3] += 0.5
    with pytest.raises(UnsupportedError, match="no finite bound"):
        assert_explained_by_rounding(outputs, net, x)
