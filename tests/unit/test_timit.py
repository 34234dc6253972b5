"""TIMIT: labels, splits and masks of the sample, and a tree in LDC's layout."""

from __future__ import annotations

import io
import os
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neko import datasets
from neko.datasets import fetch, phones, speech, timit
from neko.experiments import figure2, sentences

ARCHIVE = Path(os.environ.get("NEKO_DATA") or "/none") / "timit_sample" / "timit.zip"
needs_sample = pytest.mark.skipif(not ARCHIVE.is_file(), reason="NEKO_DATA holds no timit_sample")
RATE = 16000


@pytest.fixture(scope="module")
def members():
    with zipfile.ZipFile(ARCHIVE) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sample():
    return datasets.load("timit-sample")


def samples_of(content):
    """By the standard library alone."""
    with wave.open(io.BytesIO(content)) as audio:
        return np.frombuffer(audio.readframes(audio.getnframes()), "<i2")


def spoken(members, test):
    """(speaker, sentence) of one side of the split, in the order of the archive's sorted names."""
    for name in sorted(members):
        speaker, _, sentence = name.removeprefix("timit/").partition("/")
        if sentence.endswith(".wav") and sentence[:2] != "sa" and (speaker[4:] in timit.SAMPLE_FOLDS[0]) == test:
            yield name.removesuffix(".wav")


@needs_sample
def test_the_sample_is_split_by_speaker(members, sample):
    train, test = list(spoken(members, False)), list(spoken(members, True))
    assert (len(train), len(test)) == (96, 32)
    assert sample.x_train.shape == (96, 518, 39)
    assert sample.x_test.shape == (32, 550, 39)
    assert sample.x_train.dtype == sample.mask_train.dtype == np.float32
    assert sample.outputs == 61
    speakers = [{name.split("/")[1] for name in part} for part in (train, test)]
    assert not speakers[0] & speakers[1]
    assert sorted(speaker[4] for speaker in speakers[1]) == ["f", "f", "m", "m"]
    assert len({speaker[:3] for speaker in speakers[1]}) == 4
    texts = [{members[name + ".txt"].split(maxsplit=2)[2] for name in part} for part in (train, test)]
    assert not texts[0] & texts[1]


@needs_sample
def test_every_speaker_is_tested_in_one_fold(members, sample):
    """Of each fold's speakers, half are women, and no two of a sex speak one dialect."""
    folders = {name.split("/")[1] for name in members if name.endswith("/sa1.wav")}
    dialects = {folder[4:]: folder[:3] for folder in folders}
    assert sorted(sum(timit.SAMPLE_FOLDS, ())) == sorted(dialects)
    for fold in timit.SAMPLE_FOLDS:
        assert sorted(speaker[0] for speaker in fold) == ["f", "f", "m", "m"]
        assert len({dialects[speaker] for speaker in fold}) == 4
    other = datasets.load("timit-sample", fold=3)
    assert (len(other.x_train), len(other.x_test)) == (96, 32)
    frames = [{tuple(y) for y in data.y_test[:, :100]} for data in (sample, other)]
    assert not frames[0] & frames[1]
    assert frames[0] < {tuple(y) for y in other.y_train[:, :100]}


@pytest.mark.parametrize("fold", [-1, 4, 1.0, "0"])
def test_another_fold_is_refused(fold):
    with pytest.raises(ValueError, match=r"fold=.*expected one of \(0, 1, 2, 3\)"):
        datasets.load("timit-sample", fold=fold)


@needs_sample
def test_masks_and_labels_are_those_of_the_transcription(members, sample):
    for test, y, mask in ((False, sample.y_train, sample.mask_train), (True, sample.y_test, sample.mask_test)):
        for row, name in enumerate(spoken(members, test)):
            count = 1 + (len(samples_of(members[name + ".wav"])) - 400) // 160
            said = {}
            for line in members[name + ".phn"].decode().splitlines():
                begin, end, phone = line.split()
                said |= dict.fromkeys(range(int(begin), int(end)), phone)
            found = [said.get(160 * t + 200) for t in range(count)]
            # In one sentence the transcription ends before the audio.
            assert (None in found) == (name == "timit/dr3-madc0/si1367")
            assert mask[row].tolist() == [float(p is not None) for p in found] + [0.0] * (mask.shape[1] - count)
            assert [phones.PHONES[k] for k in y[row, :count]] == [p or "aa" for p in found]
            assert not y[row, count:].any()


@needs_sample
def test_labels_of_one_sentence_by_hand(members, sample):
    row = list(spoken(members, True)).index("timit/dr2-faem0/sx42")
    by_hand = {
        0: "h#",
        12: "h#",
        13: "b",
        14: "b",
        15: "ih",
        117: "pau",
        118: "q",
        121: "q",
        122: "aa",
        205: "iy",
        206: "h#",
    }
    assert {t: phones.PHONES[sample.y_test[row, t]] for t in by_hand} == by_hand
    folded = datasets.load("timit-sample", phones=39)
    by_hand |= {0: "sil", 12: "sil", 117: "sil", 206: "sil"}
    assert {t: phones.PHONES_39[folded.y_test[row, t]] for t in by_hand if by_hand[t] != "q"} == {
        t: phone for t, phone in by_hand.items() if phone != "q"
    }
    assert folded.outputs == 39
    np.testing.assert_array_equal(folded.x_test, sample.x_test)
    lost = sample.mask_test - folded.mask_test
    np.testing.assert_array_equal(lost, sample.mask_test * (sample.y_test == phones.PHONES.index("q")))
    assert lost[row, 118:122].tolist() == [1.0] * 4
    assert lost.sum() > 100


@needs_sample
def test_features_are_standardised_by_the_training_speakers(members, sample):
    lengths = [1 + (len(samples_of(members[name + ".wav"])) - 400) // 160 for name in spoken(members, False)]
    frames = np.concatenate([x[:length] for x, length in zip(sample.x_train, lengths, strict=True)])
    np.testing.assert_allclose(frames.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(frames.std(axis=0), 1.0, atol=1e-5)
    assert all(not x[length:].any() for x, length in zip(sample.x_train, lengths, strict=True))
    assert np.abs(sample.x_test[sample.mask_test > 0].mean(axis=0)).max() > 0.01


@needs_sample
def test_nltks_own_packing_with_its_sphere_file_gives_the_same(members, sample, tmp_path, monkeypatch):
    odd = "timit/dr1-fvmh0/si836.wav"
    (tmp_path / "timit_sample").mkdir()
    path = tmp_path / "timit_sample" / "timit.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(members.items(), reverse=True):
            archive.writestr(name, sphere(samples_of(content)) if name == odd else content)
    monkeypatch.setenv("NEKO_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="delete it or fetch it again"):
        datasets.load("timit-sample")
    monkeypatch.setattr(timit, "SAMPLE", timit.SAMPLE._replace(checksums=(fetch.digest(path, "sha256"),)))
    again = datasets.load("timit-sample")
    np.testing.assert_array_equal(again.x_train, sample.x_train)
    np.testing.assert_array_equal(again.y_test, sample.y_test)


def sphere(signal, *, order="01", rate=RATE, coding="pcm"):
    """A NIST SPHERE file, as the description of the format has it."""
    fields = [
        "channel_count -i 1",
        f"sample_count -i {len(signal)}",
        f"sample_rate -i {rate}",
        "sample_n_bytes -i 2",
        f"sample_byte_format -s2 {order}",
        "sample_sig_bits -i 16",
        f"sample_coding -s{len(coding)} {coding}",
        "speaker_id -s4 abc0",
    ]
    header = "NIST_1A\n   1024\n" + "\n".join(fields) + "\nend_head\n"
    return header.ljust(1024).encode() + np.asarray(signal).astype("<i2" if order == "01" else ">i2").tobytes()


def riff(signal, rate=RATE):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(np.asarray(signal, "<i2").tobytes())
    return stream.getvalue()


def test_both_kinds_of_audio_file_are_read():
    signal = np.random.default_rng(0).integers(-32768, 32768, 1000)
    for content in (riff(signal), sphere(signal), sphere(signal, order="10")):
        np.testing.assert_array_equal(speech.read_audio(content, "a.wav"), signal)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no audio file"),
        (b"RIFFxxxx", "no audio file"),
        (riff(np.zeros(1000))[:-2], "promises 1000 samples and 999 are there"),
        (sphere(np.zeros(1000))[:-2], "promises 1000 samples and 999 are there"),
        (sphere(np.zeros(1000))[:100], "header that can not be read"),
        (sphere(np.zeros(1000), rate=8000), r"\(8000, 1, 2\)"),
        (riff(np.zeros(1000), rate=8000), r"\(8000, 1, 2\)"),
        (sphere(np.zeros(1000), coding="pcm,embedded-shorten-v2.00"), "sph2pipe"),
    ],
)
def test_audio_that_can_not_be_read_is_named(content, fault):
    with pytest.raises(ValueError, match=f"dr1/x.wav.*{fault}"):
        speech.read_audio(content, "dr1/x.wav")


TEXT = "0 1600 h#\n1600 3200 sh\n3200 4000 h#\n"


def plant(root, case, train=("fcjf0", "mdac0"), test=timit.CORE_TEST):
    """A small tree as LDC93S1 has it; speaker number k says sentences of 4000 + 160 k samples."""
    rng = np.random.default_rng(0)
    for part, speakers in (("train", train), ("test", (*test, "zzzz0"))):
        for k, speaker in enumerate(speakers):
            for sentence in ("sa1", "sx37", "si648"):
                folder = root / case("timit") / case(part) / case(f"dr{k % 8 + 1}") / case(speaker)
                folder.mkdir(parents=True, exist_ok=True)
                content = sphere(rng.integers(-3000, 3000, 4000 + 160 * k))
                (folder / case(f"{sentence}.wav")).write_bytes(content)
                (folder / case(f"{sentence}.phn")).write_text(TEXT)
                (folder / case(f"{sentence}.txt")).write_text("0 4000 She had.")
    return root / case("timit")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEKO_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_the_full_corpus_in_its_own_layout(home, case):
    pytest.importorskip("kaldi_native_fbank")
    plant(home, case)
    data = datasets.load("timit")
    assert data.x_train.shape == (4, 24, 39)
    assert data.x_test.shape == (48, 23 + 23, 39)
    # The transcription ends at sample 4000, after the centre of frame 23.
    assert data.mask_train.sum(axis=1).tolist() == [23.0, 23.0, 24.0, 24.0]
    assert sorted(data.mask_test.sum(axis=1).tolist()) == [23.0] * 2 + [24.0] * 46
    assert (
        data.y_test[0, :23].tolist()
        == [phones.PHONES.index("h#")] * 9 + [phones.PHONES.index("sh")] * 10 + [phones.PHONES.index("h#")] * 4
    )
    assert datasets.DATASETS["timit"].place() == "NEKO_DATA"
    assert datasets.load("timit", phones=39).outputs == 39


def test_the_experiment_on_speech_is_that_of_the_full_corpus_too(home):
    pytest.importorskip("kaldi_native_fbank")
    plant(home, str.upper)
    experiment = figure2.Corpus(quick=True)
    try:
        found = experiment.measure(experiment.trials()[0])
    finally:
        sentences.load.cache_clear()
    assert len(found["error after each epoch"]) == 2
    assert 0.0 < found["error"] < 100.0
    assert found["rate"] > 0.0


def test_the_disc_as_it_comes_is_found(home):
    plant(home / "TIMIT", str.upper)
    assert timit.tree() == home / "TIMIT" / "TIMIT"


@pytest.mark.parametrize("root", [None, "", "missing", "."])
def test_an_absent_corpus_says_where_to_put_it(tmp_path, monkeypatch, root):
    (tmp_path / "timit").mkdir()
    if root is None:
        monkeypatch.delenv("NEKO_DATA", raising=False)
    else:
        monkeypatch.setenv("NEKO_DATA", str(tmp_path / root) if root else "")
    with pytest.raises(FileNotFoundError, match=r"TIMIT/TRAIN/DR1/FCJF0/SX37.WAV.*LDC93S1"):
        datasets.load("timit")
    assert datasets.DATASETS["timit"].place() == "not here"


def test_a_damaged_tree_names_the_file(home):
    pytest.importorskip("kaldi_native_fbank")
    folder = plant(home, str.upper) / "TRAIN" / "DR1" / "FCJF0"
    audio = folder / "SX37.WAV"
    content = audio.read_bytes()
    audio.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"FCJF0/SX37\.WAV is cut off"):
        datasets.load("timit")
    audio.write_bytes(content)
    (folder / "SX37.PHN").write_text("100 200 aa\n0 100 sh\n")
    with pytest.raises(ValueError, match=r"FCJF0/SX37\.PHN, line 2"):
        datasets.load("timit")
    (folder / "SX37.PHN").unlink()
    with pytest.raises(FileNotFoundError, match=r"FCJF0 has no 'sx37\.phn'"):
        datasets.load("timit")
    (folder / "SX37.PHN").write_text(TEXT)
    audio.unlink()
    with pytest.raises(FileNotFoundError, match=r"FCJF0 has no 'sx37\.wav'"):
        datasets.load("timit")


def test_an_incomplete_tree_names_who_is_missing(home):
    plant(home, str.upper, test=timit.CORE_TEST[2:])
    with pytest.raises(ValueError, match=r"lacks the test speakers \['mdab0', 'mwbt0'\]"):
        datasets.load("timit")


def test_an_empty_tree_is_named(home):
    (home / "TIMIT" / "TRAIN").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"TIMIT has 0 training sentences"):
        datasets.load("timit")


@pytest.mark.parametrize("name", ["timit", "timit-sample"])
def test_another_number_of_phones_is_refused(name):
    with pytest.raises(ValueError, match=r"phones=48: expected one of \(61, 39\)"):
        datasets.load(name, phones=48)
