//! When iterations are to start, whatever happens to those before them.

use std::time::Duration;

/// The intended starts of an open load, each as the time since its begin; computed one by one.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    pieces: Vec<Piece>,
    /// The piece that the next start lies in, when it begins, and how many starts lie before it.
    piece: usize,
    begun: f64,
    before: f64,
    next: f64,
}

/// A stretch of time over which the rate changes evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// Starts per second at its begin.
    pub(super) from: f64,
    /// Starts per second at its end.
    pub(super) to: f64,
    /// How long it is, in seconds.
    pub(super) seconds: f64,
}

impl Piece {
    fn starts(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.seconds
    }

    /// After how many seconds so many starts are due: the inverse of `from t + (to - from) t² / (2 seconds)`.
    fn due(&self, starts: f64) -> f64 {
        if starts <= 0.0 {
            return 0.0;
        }
        let bend = (self.to - self.from) / (2.0 * self.seconds);
        let root = (self.from * self.from + 4.0 * bend * starts)
            .max(0.0)
            .sqrt();
        2.0 * starts / (self.from + root)
    }
}

impl Arrivals {
    /// The starts of these pieces, one after the other.
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        Self {
            pieces,
            piece: 0,
            begun: 0.0,
            before: 0.0,
            next: 0.0,
        }
    }

    /// How long all pieces take.
    pub(super) fn duration(&self) -> Duration {
        let seconds = self.pieces.iter().map(|piece| piece.seconds).sum();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// The lowest and the highest rate, in starts per second.
    pub(super) fn rates(&self) -> (f64, f64) {
        let rates = self.pieces.iter().flat_map(|piece| [piece.from, piece.to]);
        rates.fold((f64::INFINITY, 0.0), |(least, most), rate| {
            (rate.min(least), rate.max(most))
        })
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let piece = self.pieces.get(self.piece)?;
            let starts = self.next - self.before;
            // The last start of a piece must not be lost or doubled by rounding.
            if starts < piece.starts() - 1e-9 {
                self.next += 1.0;
                let due = self.begun + piece.due(starts).min(piece.seconds);
                return Duration::try_from_secs_f64(due).ok();
            }
            self.before += piece.starts();
            self.begun += piece.seconds;
            self.piece += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pieces: &[(f64, f64, f64)]) -> Vec<f64> {
        let piece = |&(from, to, seconds)| Piece { from, to, seconds };
        let arrivals = Arrivals::new(pieces.iter().map(piece).collect());
        arrivals
            .map(|due| (due.as_secs_f64() * 1e4).round() / 1e4)
            .collect()
    }

    #[test]
    fn a_constant_rate_spreads_its_starts_evenly() {
        let starts = seconds(&[(50.0, 50.0, 2.0)]);
        assert_eq!(starts.len(), 100);
        assert_eq!((starts[1], starts[99]), (0.02, 1.98));
    }

    #[test]
    fn a_ramp_starts_as_many_as_lie_under_it_and_faster_and_faster() {
        let starts = seconds(&[(0.0, 10.0, 10.0), (10.0, 10.0, 1.0), (10.0, 0.0, 2.0)]);
        assert_eq!(starts.len(), 50 + 10 + 10);
        // Under a ramp from 0 to 10 a second over 10 s lie t²/2 starts after t seconds.
        assert_eq!(starts[8], 4.0);
        assert_eq!(starts[32], 8.0);
        assert_eq!((starts[50], starts[60]), (10.0, 11.0));
        assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn nothing_starts_where_the_rate_is_zero() {
        let starts = seconds(&[(0.0, 0.0, 5.0), (1.0, 1.0, 2.0)]);
        assert_eq!(starts, [5.0, 6.0]);
    }
}
