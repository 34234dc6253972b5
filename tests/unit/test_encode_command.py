"""`neko encode`: files of signals in, spikes, a table and a figure out."""

from __future__ import annotations

import wave

import numpy as np
import pytest
from matplotlib.colors import to_hex
from typer.testing import CliRunner

from neko import encoders, plots
from neko.cli import app
from neko.io import signals

SIGNAL = [0.0, 0.75, 0.75, -0.5]
SPIKES = [0, 1, 0, -1]
"""Step-forward with θ = 0.5: base 0, 0.5, 0.5, 0."""
CSV = "beat\n0\n0.75\n0.75\n-0.5\n"


def encode(path, *options):
    return CliRunner().invoke(app, ["encode", str(path), "--method", "step_forward(threshold=0.5)", *options])


def write_wav(path, x, width):
    """Numbers in [-1, 1) as integers of `width` bytes, (time, channels)."""
    x = np.atleast_2d(np.asarray(x).T).T
    if width == 1:
        data = (x * 128 + 128).astype(np.uint8).tobytes()
    else:
        whole = (x * 2.0**31).astype("<i4").tobytes()
        data = b"".join(whole[i + 4 - width : i + 4] for i in range(0, len(whole), 4))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(x.shape[1])
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data)


def test_a_signal_becomes_spikes_and_a_table(tmp_path):
    """Of errors 0, ¼, ¼, -½ the root mean square is √(3/32), and the SNR 10 log10(11/8 / (3/8))."""
    (tmp_path / "beat.csv").write_text(CSV)
    result = encode(tmp_path / "beat.csv", "--out", str(tmp_path / "new" / "spikes.csv"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "new" / "spikes.csv").read_text().split() == ["beat", "0", "1", "0", "-1"]
    (row,) = (line for line in result.output.splitlines() if "beat " in line and "0.500" in line)
    assert row.replace("│", "").split() == ["beat", "4", "2", "0.500", "5.6", "dB", "0.306"]
    assert "Spikes (4, 1): " in result.output


@pytest.mark.parametrize("name", ["a.csv", "b.CSV", "c.npy", "d.npy", "e.wav", "f.wav"])
def test_every_format_gives_the_same_spikes(tmp_path, name):
    path = tmp_path / name
    match name[0]:
        case "a":  # without names, with an empty line, and as Windows writes it
            path.write_bytes("\ufeff0\r\n0.75\r\n\r\n0.75\r\n-0.5\r\n".encode())
        case "b":
            path.write_text(CSV)
        case "c" | "d":
            x = np.array(SIGNAL, dtype=np.float32)
            np.save(path, x if name[0] == "c" else x[:, None])
        case _:
            write_wav(path, SIGNAL, 1 if name[0] == "e" else 3)
    result = encode(path, "--out", str(tmp_path / "spikes.npy"))
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(tmp_path / "spikes.npy"), np.array(SPIKES)[:, None])


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_columns_are_channels(tmp_path, between):
    path = tmp_path / "two.csv"
    path.write_text(f"left{between}right\n1{between}2.5\n3{between}-4e-1\n")
    names, x = signals.read(path)
    assert names == ["left", "right"]
    np.testing.assert_array_equal(x, [[1.0, 2.5], [3.0, -0.4]])
    out = tmp_path / "spikes.csv"
    result = CliRunner().invoke(app, ["encode", str(path), "--method", "delta(split=True)", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_text().split() == ["left", "up,right", "up,left", "down,right", "down", "0,0,0,0", "1,0,0,1"]
    assert "all" in result.output


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_wav_are_scaled_to_one(tmp_path, width):
    """The lowest integer is -1, and the highest one step below 1."""
    step = 2.0 ** (1 - 8 * width)
    x = np.array([[0.0, -1.0], [0.5, 1.0 - step], [-step, step]])
    write_wav(tmp_path / "x.wav", x, width)
    np.testing.assert_array_equal(signals.read(tmp_path / "x.wav")[1], x)


def test_what_a_file_may_not_be(tmp_path):
    np.save(tmp_path / "cube.npy", np.zeros((2, 3, 4)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "folder.csv").mkdir()
    write_wav(tmp_path / "silent.wav", np.zeros((0, 1)), 2)
    contents = {
        "x.mp3": (b"", "expected a file that ends in one of ['.csv', '.npy', '.wav']"),
        "none.csv": (None, "no file "),
        "folder.csv": (None, "no file "),
        "empty.csv": (b"", "holds no numbers"),
        "names.csv": (b"a,b\n", "holds no numbers"),
        "word.csv": (b"a\n1\nx\n", "word.csv, line 3: 'x': expected a finite number"),
        "nan.csv": (b"1\nnan\n", "nan.csv, line 2: 'nan': expected a finite number"),
        "first.csv": (b"1,x\n2,3\n", "first.csv, line 1: 'x': expected a finite number"),
        "rows.csv": (b"1,2\n\n1\n", "rows.csv, line 3: 1 columns: expected 2, as in the first line"),
        "comma.csv": (b"0,5;1\n", "line 1: '0,5': expected a finite number"),
        "bytes.csv": (b"\xff\xfe1", "is not text in UTF-8"),
        "cube.npy": (None, "has shape (2, 3, 4) of float64: expected numbers, (time,) or (time, channels)"),
        "words.npy": (None, "expected numbers"),
        "objects.npy": (None, "is not an array of NumPy"),
        "empty.npy": (b"", "is not an array of NumPy"),
        "text.npy": (b"1\n2\n", "is not an array of NumPy"),
        "text.wav": (b"1\n2\n", "expected uncompressed integers in WAV"),
        "short.wav": (b"", "it ends early: expected uncompressed integers in WAV"),
        "silent.wav": (None, "has shape (0, 1)"),
    }
    for name, (content, message) in contents.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        result = encode(tmp_path / name)
        assert result.exit_code == 2, name
        assert message in result.output, (message, result.output)
        assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "step_forwards"], "did you mean 'step_forward'?"),
        (["--method", "rate(steps=0)"], "steps=0: expected a positive integer"),
        (["--out", "spikes.txt"], "'spikes.txt': expected a path that ends in one of ['.csv', '.npy']"),
    ],
)
def test_options_that_are_wrong_are_told_in_one_line(tmp_path, options, message):
    (tmp_path / "beat.csv").write_text(CSV)
    result = encode(tmp_path / "beat.csv", *options)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.filterwarnings("always::UserWarning")
def test_a_code_without_an_inverse_and_samples_out_of_range(tmp_path):
    (tmp_path / "beat.csv").write_text(CSV)
    result = encode(tmp_path / "beat.csv", "--method", "poisson", "--plot")
    assert result.exit_code == 0, result.output
    assert "25 % of the samples lie outside low=0.0 to high=1.0 and are clipped" in result.output
    assert "dB" not in result.output
    assert (tmp_path / "beat.png").stat().st_size > 1000


def test_an_own_code_of_a_file(tmp_path):
    (tmp_path / "own.py").write_text(
        "class Positive:\n    def encode(self, signal):\n        return (signal > 0).astype('float32')\n"
    )
    (tmp_path / "beat.csv").write_text(CSV)
    result = encode(tmp_path / "beat.csv", "--method", f"{tmp_path}/own.py:Positive", "--out", str(tmp_path / "z.npy"))
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy")[:, 0], [0, 1, 1, 0])


def test_the_figure_shows_signal_spikes_and_reconstruction():
    x = np.stack([SIGNAL, SIGNAL], axis=1)
    code = encoders.resolve("step_forward(threshold=0.5)")
    spikes = code.encode(x[None])[0]
    figure = plots.encoding(x, spikes, encoders.measures.reconstruction(code, x[None], spikes[None])[0], names="ab")
    above, below, second, _ = figure.axes
    assert (above.get_ylabel(), second.get_ylabel()) == ("a", "b")
    np.testing.assert_array_equal(above.lines[0].get_ydata(), SIGNAL)
    np.testing.assert_array_equal(above.lines[1].get_ydata(), [0.0, 0.5, 0.5, 0.0])
    up, down = below.collections
    assert (list(up.get_positions()), list(down.get_positions())) == ([1.0], [3.0])
    assert [label.get_text() for label in below.get_yticklabels()] == ["down", "up"]
    assert to_hex(np.ravel(up.get_color())) != to_hex(np.ravel(down.get_color()))


def test_a_long_signal_of_many_neurons_is_drawn_from_its_beginning():
    x = np.linspace(0.0, 1.0, 30)[:, None].repeat(6, axis=1)
    spikes = encoders.resolve("gaussian(neurons=5, latency=True, window=4)").encode(x[None])[0]
    figure = plots.encoding(x, spikes, samples=20)
    assert len(figure.axes) == 8  # four channels of six
    assert figure.axes[-1].get_xlabel() == "sample (the first 20 of 30)"
    assert len(figure.axes[1].collections) == 5
    last = [neuron.get_positions() for neuron in figure.axes[1].collections]
    assert max(max(at) for at in last if len(at)) < 20.0
    assert 0.25 in np.concatenate(last) % 1  # between two samples


def test_a_figure_of_codes_has_a_row_for_each():
    x = np.linspace(0.0, 1.0, 10)
    names = ("step_forward", "place(cells=3)", "phase")
    figure = plots.codes(x, {name: encoders.resolve(name).encode(x) for name in names})
    above, *below = figure.axes
    np.testing.assert_array_equal(above.lines[0].get_ydata(), x)
    assert [axes.get_ylabel() for axes in below] == list(names)
    assert [len(axes.collections) for axes in below] == [1, 3, 1]


def test_a_figure_of_fronts_leaves_out_what_is_worse_than_nothing():
    x = np.linspace(0.0, 1.0, 1001)
    found = encoders.tune("phase(low=-3.0)", x, progress=False)
    assert found.front[0].snr < 0.0  # the digit of one half is 2 off
    (line,) = plots.fronts({"phase": found}).axes[0].lines
    assert line.get_label() == "phase"
    kept = [(row.density, row.snr) for row in found.front if row.snr >= 0.0]
    assert 3 < len(kept) < len(found.front)
    np.testing.assert_array_equal(line.get_xydata(), kept)
