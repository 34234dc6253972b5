"""Other libraries, each in an environment of its own: ``python -m benchmarks.peers [name …]``.

Makes the environments under ``build/peers``, says which could not be made and why, then measures the training step of
all peers beside the library's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "build" / "peers"
TORCH = ("torch==2.13.0", "numpy==2.4.6")
JAX = ("jax==0.10.2", "jaxlib==0.10.2", "optax==0.2.8")


@dataclass(frozen=True)
class Peer:
    """A library to compare with.

    Parameters
    ----------
    name : str
        Of its environment.
    needs : tuple of str
        Requirements, installed with what they need.
    alone : tuple of str
        Requirements without what they name: of that, `needs` has what is used, at the versions of the library's own
        environment.
    neuron, differs : str
        What is measured, and in what it is not the same network.
    """

    name: str
    needs: tuple[str, ...]
    alone: tuple[str, ...]
    neuron: str
    differs: str

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return FOLDER / self.name / "bin" / "python"

    @property
    def installed(self) -> bool:
        """Whether it was installed to the end."""
        return self.ready.exists()

    @property
    def ready(self) -> Path:
        """What was installed; written last."""
        return FOLDER / self.name / "ready"

    @property
    def reason(self) -> Path:
        """Why it could not be installed."""
        return FOLDER / f"{self.name}.reason"

    @property
    def missing(self) -> str:
        """Why it is not there."""
        return self.reason.read_text() if self.reason.exists() else "`make peers` was not run"

    def install(self) -> str | None:
        """Make the environment, if it is not there; the reason if that cannot be done."""
        wanted = "\n".join((*self.needs, *self.alone))
        if self.installed and self.ready.read_text() == wanted:
            return None
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        steps = [[sys.executable, "-m", "venv", "--clear", str(FOLDER / self.name)], [*pip, *self.needs]]
        steps += [[*pip, "--no-deps", *self.alone]] if self.alone else []
        for command in [*steps, [str(self.python), "-c", f"import {self.name}"]]:
            done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parent)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
                self.reason.write_text(lines[-1].strip() if lines else f"{' '.join(command)} gave {done.returncode}")
                return self.missing
        self.reason.unlink(missing_ok=True)
        self.ready.write_text(wanted)
        return None


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "snntorch",
            TORCH,
            ("snntorch==1.0.0",),
            "`RLeaky` and `Leaky`, BPTT in an eager loop",
            "no adaptation; its recurrence has biases and autapses",
        ),
        Peer(
            "norse",
            (*TORCH, "h5py==3.14.0", "nir==1.0.8", "nirtorch==2.6"),
            ("norse==1.1.0",),
            "`LSNNRecurrent` and `LI`, BPTT in an eager loop",
            "a synaptic current beside the adaptive membrane; resets to zero without a gradient",
        ),
        Peer(
            "spikingjelly",
            (*TORCH, "loguru", "tqdm", "packaging"),
            ("spikingjelly==2.0.0",),
            "`LIFNode` with a recurrent `Linear`, and `NonSpikingLIFNode`, BPTT in an eager loop",
            "no adaptation; autapses; drives of the readout are scaled by 1 - κ",
        ),
        Peer(
            "spyx",
            (*JAX, "spyx==1.0.0"),
            (),
            "`RLIF` and `LI`, BPTT in one compiled program",
            "no adaptation; autapses; time constants are trained too",
        ),
        Peer(
            "braintrace",
            (*JAX, "braintrace==0.2.6"),  # later ones need Python 3.12
            (),
            "the same ALIF network as a module of its own, online learning in one compiled program",
            "the gradient, which `EProp` (a trace for every weight) and `pp_prop` (for every neuron) approximate",
        ),
    )
}
"""By the names of their environments."""


def main() -> None:
    """Install peers, then measure them with the library."""
    from benchmarks.__main__ import run

    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(PEERS)}; default all")
    parser.add_argument("--install-only", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if unknown := set(options.names) - set(PEERS):
        parser.error(f"no peer {sorted(unknown)!r}: expected any of {list(PEERS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.names or PEERS:
        reason = PEERS[name].install()
        print(f"{name}: {'installed' if reason is None else f'could not be installed: {reason}'}", flush=True)
    if not options.install_only:
        run(("speed",))


if __name__ == "__main__":
    main()
