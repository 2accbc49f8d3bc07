//! The signals that can be generated, as functions of the step.

use std::f64::consts::TAU;

use rand_distr::{Distribution, StandardNormal};

/// A form of signal; `villas-shm signal --help` has the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sine,
    Square,
    Triangle,
    Ramp,
    Random,
    Counter,
    #[value(alias = "constants")]
    Constant,
    Pulse,
    Mixed,
}

/// The forms that `mixed` puts side by side, in VILLASnode's order.
const MIXED: [Kind; 8] =
    [Kind::Random, Kind::Sine, Kind::Square, Kind::Triangle, Kind::Ramp, Kind::Counter, Kind::Constant, Kind::Pulse];

impl Kind {
    /// The form of the value at `index` of a sample.
    pub(crate) fn of_value(self, index: usize) -> Self {
        if self == Self::Mixed { MIXED[index % MIXED.len()] } else { self }
    }

    /// Its name on the command line and in the header line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sine => "sine",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Ramp => "ramp",
            Self::Random => "random",
            Self::Counter => "counter",
            Self::Constant => "constant",
            Self::Pulse => "pulse",
            Self::Mixed => "mixed",
        }
    }
}

/// The parameters of the signals of one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Samples per second.
    pub(crate) rate: f64,
    /// In Hz; for a ramp the period in seconds, as in VILLASnode.
    pub(crate) frequency: f64,
    pub(crate) amplitude: f64,
    pub(crate) offset: f64,
    /// Standard deviation of each step of a random walk.
    pub(crate) deviation: f64,
    /// In radians.
    pub(crate) phase: f64,
}

/// One signal. All except the random walk are functions of the step alone.
#[derive(Clone, Debug)]
pub(crate) struct Wave {
    kind: Kind,
    shape: Shape,
    /// Present position of the random walk.
    position: f64,
}

impl Wave {
    pub(crate) fn new(kind: Kind, shape: Shape) -> Self {
        Self { kind, shape, position: shape.offset }
    }

    /// The value at a step, that is at the time `step / rate`.
    pub(crate) fn value(&mut self, step: u64) -> f64 {
        let Shape { rate, frequency, amplitude, offset, deviation, phase } = self.shape;
        let step = step as f64;
        // Rounded once, so that a period of a whole number of steps begins exactly at its step.
        let cycles = step * frequency / rate;
        let part = fraction(cycles + phase / TAU);
        match self.kind {
            Kind::Sine => offset + amplitude * (TAU * cycles + phase).sin(),
            Kind::Square => offset + if part < 0.5 { -amplitude } else { amplitude },
            Kind::Triangle => offset + amplitude * 4.0 * ((part - 0.5).abs() - 0.25),
            Kind::Ramp => offset + amplitude * frequency * fraction(step / (rate * frequency)),
            Kind::Counter => offset + amplitude * step,
            Kind::Constant | Kind::Mixed => offset + amplitude,
            Kind::Pulse => offset + if part < frequency / rate { 1.0 } else { 0.0 },
            Kind::Random => {
                let normal: f64 = StandardNormal.sample(&mut rand::rng());
                self.position += deviation * normal;
                self.position
            }
        }
    }
}

/// The fractional part of `number`, counted from the whole number below it.
fn fraction(number: f64) -> f64 {
    number - number.floor()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{FRAC_PI_2, PI};

    const SHAPE: Shape = Shape { rate: 10.0, frequency: 1.0, amplitude: 1.0, offset: 0.0, deviation: 0.02, phase: 0.0 };

    #[track_caller]
    fn same(kind: Kind, shape: Shape, expected: &[f64]) {
        let mut wave = Wave::new(kind, shape);
        for (step, &expected) in (0..).zip(expected) {
            let value = wave.value(step);
            assert!((value - expected).abs() < 1e-12, "{kind:?}, step {step}: {value} for {expected}");
        }
    }

    #[test]
    fn each_signal_follows_its_formula_through_a_period() {
        let quarter = Shape { rate: 4.0, ..SHAPE };
        same(Kind::Sine, quarter, &[0.0, 1.0, 0.0, -1.0, 0.0, 1.0]);
        same(Kind::Square, SHAPE, &[-1.0, -1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0]);
        same(Kind::Triangle, SHAPE, &[1.0, 0.6, 0.2, -0.2, -0.6, -1.0, -0.6, -0.2, 0.2, 0.6, 1.0]);
        same(Kind::Ramp, SHAPE, &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.0, 0.1]);
        same(Kind::Counter, SHAPE, &[0.0, 1.0, 2.0, 3.0]);
        same(Kind::Constant, SHAPE, &[1.0, 1.0, 1.0]);
        same(Kind::Pulse, SHAPE, &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn amplitude_offset_frequency_and_phase_have_their_places() {
        let shape = Shape { rate: 40.0, frequency: 10.0, amplitude: 3.0, offset: 5.0, ..SHAPE };
        same(Kind::Sine, shape, &[5.0, 8.0, 5.0, 2.0, 5.0]);
        same(Kind::Square, shape, &[2.0, 2.0, 8.0, 8.0, 2.0]);
        same(Kind::Triangle, shape, &[8.0, 5.0, 2.0, 5.0, 8.0]);
        same(Kind::Counter, shape, &[5.0, 8.0, 11.0]);
        same(Kind::Constant, shape, &[8.0, 8.0]);
        same(Kind::Pulse, shape, &[6.0, 5.0, 5.0, 5.0, 6.0]);
        same(Kind::Sine, Shape { phase: FRAC_PI_2, ..shape }, &[8.0, 5.0, 2.0]);
        same(Kind::Square, Shape { phase: PI, ..shape }, &[8.0, 8.0, 2.0, 2.0]);
        same(Kind::Square, Shape { phase: -FRAC_PI_2, ..shape }, &[8.0, 2.0, 2.0, 8.0, 8.0]);
        same(Kind::Triangle, Shape { phase: PI, ..shape }, &[2.0, 5.0, 8.0]);
        same(Kind::Pulse, Shape { phase: -FRAC_PI_2, ..shape }, &[5.0, 6.0, 5.0, 5.0, 5.0, 6.0]);
        // Half a second long, at ten steps a second.
        same(Kind::Ramp, Shape { frequency: 0.5, amplitude: 2.0, ..SHAPE }, &[0.0, 0.2, 0.4, 0.6, 0.8, 0.0, 0.2]);
    }

    #[test]
    fn a_period_begins_at_its_step_however_late() {
        let mut wave = Wave::new(Kind::Pulse, Shape { rate: 1000.0, frequency: 50.0, ..SHAPE });
        let first = 3_600_000_000;
        let high: Vec<u64> = (first..first + 100).filter(|&step| wave.value(step) == 1.0).collect();
        assert!(high.into_iter().eq((first..first + 100).step_by(20)));
    }

    #[test]
    fn a_random_walk_has_steps_of_its_deviation() {
        let mut wave = Wave::new(Kind::Random, Shape { deviation: 0.5, offset: 100.0, ..SHAPE });
        let values: Vec<f64> = std::iter::once(100.0).chain((0..100_000).map(|step| wave.value(step))).collect();
        let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let count = steps.len() as f64;
        let mean = steps.iter().sum::<f64>() / count;
        let deviation = (steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() / count).sqrt();
        // Eight times the standard errors of both.
        assert!(mean.abs() < 8.0 * 0.5 / count.sqrt(), "{mean}");
        assert!((deviation - 0.5).abs() < 8.0 * 0.5 / (2.0 * count).sqrt(), "{deviation}");
        assert_eq!(Wave::new(Kind::Random, Shape { deviation: 0.0, ..SHAPE }).value(0), 0.0);
    }

    #[test]
    fn mixed_has_the_others_in_turn() {
        let names: Vec<_> = (0..9).map(|index| Kind::Mixed.of_value(index).name()).collect();
        assert_eq!(names, ["random", "sine", "square", "triangle", "ramp", "counter", "constant", "pulse", "random"]);
        assert_eq!(Kind::Ramp.of_value(3), Kind::Ramp);
    }
}
