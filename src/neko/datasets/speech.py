"""Speech for recognition: audio files, and mel-frequency cepstra with their differences."""

from __future__ import annotations

import io
import wave

import numpy as np

SAMPLE_RATE = 16000
WINDOW, HOP = 400, 160
"""Samples per frame and between two frames: 25 ms and 10 ms."""
COEFFICIENTS = 13


def read_audio(content: bytes, name: str) -> np.ndarray:
    """Samples (n,) int16 from the bytes of a RIFF or NIST SPHERE file of 16 kHz, one channel and 16 bits.

    ValueError, with the file's `name`, for any other format, rate, width or number of channels, for compressed audio,
    and for a file that is cut off.
    """
    sphere = content[:8] == b"NIST_1A\n"
    kind, data, declared, dtype = (read_sphere if sphere else read_riff)(content, name)
    if kind != (SAMPLE_RATE, 1, 2):
        raise ValueError(
            f"{name} has (rate, channels, bytes per sample) = {kind!r}: expected {(SAMPLE_RATE, 1, 2)!r}; "
            "convert it, for example with sox"
        )
    if declared < 0:
        raise ValueError(f"{name} has a header that promises {declared} samples; copy it anew")
    if len(data) < 2 * declared:
        raise ValueError(
            f"{name} is cut off: its header promises {declared} samples and {len(data) // 2} are there; copy it anew"
        )
    return np.frombuffer(data[: 2 * declared], dtype).astype(np.int16)


def read_riff(content: bytes, name: str) -> tuple[tuple[int, int, int], bytes, int, str]:
    """(rate, channels, bytes per sample), sample bytes, samples promised and their type of a RIFF file."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            kind = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            return kind, file.readframes(file.getnframes()), file.getnframes(), "<i2"
    except (wave.Error, EOFError, RuntimeError) as error:
        raise ValueError(f"{name} is no audio file that can be read ({error}): expected RIFF or NIST SPHERE") from error


def read_sphere(content: bytes, name: str) -> tuple[tuple[int, int, int], bytes, int, str]:
    """The same of a NIST SPHERE file: a header of text lines ``name -type value``, then the samples."""
    try:
        size = int(content[8:16])
        lines = content[16:size].decode("ascii").split("end_head")[0].splitlines()
        fields = {line.split()[0]: line.split(maxsplit=2)[2].strip() for line in lines if line and line[0] != ";"}
        kind = tuple(int(fields[key]) for key in ("sample_rate", "channel_count", "sample_n_bytes"))
        declared, order = int(fields["sample_count"]), fields["sample_byte_format"]
    except (ValueError, LookupError) as error:
        raise ValueError(f"{name} has a NIST SPHERE header that can not be read: {error!r}; copy it anew") from error
    if (coding := fields.get("sample_coding", "pcm")) != "pcm" or order not in ("01", "10"):
        raise ValueError(
            f"{name} has sample_coding {coding!r} and sample_byte_format {order!r}: expected 'pcm' and '01' or '10'; "
            "unpack it with sph2pipe"
        )
    return (kind[0], kind[1], kind[2]), content[size:], declared, "<i2" if order == "01" else ">i2"


def centres(count: int) -> np.ndarray:
    """The sample in the middle of each frame, (count,)."""
    return HOP * np.arange(count) + WINDOW // 2


def mfcc(signal: np.ndarray) -> np.ndarray:
    r"""Mel-frequency cepstral coefficients by Kaldi's recipe.

    Each frame of 400 samples x loses its mean, is pre-emphasised, windowed and padded with zeros to 512:

    .. math::
        x'_n = (x_n - 0.97\, x_{\max(n-1, 0)})
        \left(\tfrac12 - \tfrac12 \cos\tfrac{2\pi n}{399}\right)^{0.85}

    Its power spectrum :math:`|X_f|^2` passes 23 triangular filters, equally spaced from 20 Hz to 8 kHz on the
    scale :math:`1127 \ln(1 + f/700)` and triangular on that scale; of the logarithms :math:`m_k` (of at least the
    float32 epsilon) the cosine transform is taken and liftered:

    .. math::
        c_i = \left(1 + 11 \sin\tfrac{\pi i}{22}\right)
              \sqrt{\tfrac{2 - \delta_{i0}}{23}} \sum_{k=0}^{22} m_k \cos\tfrac{\pi i (k + 1/2)}{23}, \quad i = 0 … 12

    Nothing is random: Kaldi's dither is off.

    Parameters
    ----------
    signal
        Samples (n,) at 16 kHz in the range of 16-bit integers.

    Returns
    -------
    ndarray
        (frames, 13) float32; a frame lies wholly within the signal.

    Raises
    ------
    ImportError
        Without the package kaldi-native-fbank.
    """
    try:
        import kaldi_native_fbank as kaldi
    except ImportError as error:
        raise ImportError(
            "features of speech need the package kaldi-native-fbank: install neko-learning[speech]"
        ) from error
    options = kaldi.MfccOptions()
    frame, mel = options.frame_opts, options.mel_opts
    frame.samp_freq, frame.frame_length_ms, frame.frame_shift_ms = float(SAMPLE_RATE), 25.0, 10.0
    frame.dither, frame.snip_edges, frame.round_to_power_of_two = 0.0, True, True
    frame.remove_dc_offset, frame.preemph_coeff, frame.window_type = True, 0.97, "povey"
    mel.num_bins, mel.low_freq, mel.high_freq = 23, 20.0, 0.5 * SAMPLE_RATE
    options.num_ceps, options.cepstral_lifter, options.use_energy = COEFFICIENTS, 22.0, False
    extractor = kaldi.OnlineMfcc(options)
    extractor.accept_waveform(SAMPLE_RATE, signal.astype(np.float32))
    extractor.input_finished()
    rows = [np.array(extractor.get_frame(i)) for i in range(extractor.num_frames_ready)]
    return np.array(rows, dtype=np.float32).reshape(-1, COEFFICIENTS)


def delta(x: np.ndarray) -> np.ndarray:
    r"""Slope of each feature over five frames, by regression.

    .. math::
        \Delta_t = \frac{\sum_{k=1}^{2} k\,(x_{t+k} - x_{t-k})}{2 \sum_{k=1}^{2} k^2}

    `x` is (frames, features); the first and the last frame are repeated beyond the edges, as in HTK.
    """
    try:
        from scipy.signal import savgol_filter
    except ImportError as error:
        raise ImportError("features of speech need SciPy: pip install 'neko-learning[speech]'") from error
    return savgol_filter(x, window_length=5, polyorder=1, deriv=1, axis=0, mode="nearest")


def features(signal: np.ndarray) -> np.ndarray:
    """13 cepstral coefficients, their Δ and ΔΔ: (frames, 39), float32."""
    x = mfcc(signal)
    slope = delta(x)
    return np.concatenate([x, slope, delta(slope)], axis=1).astype(np.float32)
