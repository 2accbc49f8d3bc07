"""Plots a channel's signals while they come.

live_plot.py NAME [--window SECONDS] [--png FILE --samples N]
A window shows the last seconds until the node ends. With `--png`, it draws N samples into a file.
"""

import argparse

import matplotlib
import numpy as np
import villas_shm as vs


class Plot:
    """One axis for each unit, over the seconds since the first sample."""

    def __init__(self, channel: vs.Channel, window: float) -> None:
        from matplotlib import pyplot

        self.channel = channel
        self.window = window
        self.batch = channel.batch(4096)
        self.signals = channel.read_signals or tuple(vs.Signal(f"value {at}") for at in range(channel.samplelen))
        width = len(self.signals)
        self.times, self.values = np.empty(0, "M8[ns]"), np.empty((0, width))
        units = list(dict.fromkeys(signal.unit for signal in self.signals))
        self.figure, axes = pyplot.subplots(
            len(units), 1, sharex=True, squeeze=False, layout="constrained", figsize=(8, 1.2 + 2.2 * len(units))
        )
        self.axes = dict(zip(units, axes[:, 0], strict=True))
        self.lines = [self.axes[signal.unit].plot([], [], label=signal.name, linewidth=1.2)[0] for signal in self.signals]
        for unit, axis in self.axes.items():
            axis.set_ylabel(f"in {unit}" if unit else "")
            axis.grid(alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        axes[-1, 0].set_xlabel("time in s")
        self.figure.suptitle(channel.name)

    def take(self, timeout: float) -> int:
        """Takes what there is, and keeps the window; how many samples came."""
        count = self.channel.read_into(self.batch, timeout)
        self.times = np.append(self.times, self.batch.origin[:count])
        # Of complex values their magnitude.
        columns = [self.batch[at][:count] for at in range(len(self.signals))]
        came = np.column_stack([abs(column) if np.iscomplexobj(column) else column for column in columns])
        self.values = np.vstack([self.values, came])
        if count:
            recent = self.times >= self.times[-1] - np.timedelta64(int(self.window * 1e9), "ns")
            self.times, self.values = self.times[recent], self.values[recent]
        return count

    def draw(self) -> None:
        """Gives the lines what is in the window."""
        if not len(self.times):
            return
        seconds = (self.times - self.times[0]) / np.timedelta64(1, "s")
        for at, line in enumerate(self.lines):
            line.set_data(seconds, self.values[:, at])
        for axis in self.axes.values():
            axis.relim()
            axis.autoscale_view()
            axis.margins(x=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the channel")
    parser.add_argument("--window", type=float, default=10, help="seconds that are shown (10)")
    parser.add_argument("--png", help="draws into this file instead of a window")
    parser.add_argument("--samples", type=int, default=1000, help="with --png: how many samples (1000)")
    options = parser.parse_args()
    if options.png:
        matplotlib.use("Agg")
    with vs.open(options.name) as channel:
        plot = Plot(channel, options.window)
        if options.png:
            came = 0
            while came < options.samples:
                came += plot.take(timeout=10)
            plot.draw()
            plot.figure.savefig(options.png, dpi=120)
            return
        from matplotlib import animation, pyplot

        def frame(_: int) -> None:
            try:
                plot.take(timeout=0)
            except vs.ClosedError:  # the picture stays
                moving.pause()
            plot.draw()

        moving = animation.FuncAnimation(plot.figure, frame, interval=50, cache_frame_data=False)
        pyplot.show()


if __name__ == "__main__":
    main()
