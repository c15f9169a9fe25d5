//! Numbers as people read them.

use super::super::metrics::{Kind, Metric};

/// A time in milliseconds: `140.36ms`, `1.52s`, `2m5s`.
pub(super) fn millis(value: f64) -> String {
    match value {
        0.0 => "0s".to_owned(),
        v if v < 1.0 => format!("{:.0}µs", v * 1e3),
        v if v < 1e3 => format!("{}ms", short(v)),
        v if v < 60e3 => format!("{}s", short(v / 1e3)),
        v => {
            let seconds = (v / 1e3).round();
            format!("{}m{}s", (seconds / 60.0).floor(), seconds % 60.0)
        }
    }
}

/// A number with at most two places, without zeros at its end.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// A share in percent.
pub(super) fn percent(hits: u64, total: u64) -> String {
    let share = if total > 0 {
        hits as f64 / total as f64
    } else {
        0.0
    };
    format!("{:.2}%", share * 100.0)
}

/// A value of a metric in the metric's unit.
pub(super) fn of(metric: &Metric, value: f64) -> String {
    match metric.kind {
        Kind::Trend => millis(value),
        _ if metric.name == "queue_oldest_wait" => millis(value),
        Kind::Rate => format!("{:.2}%", value * 100.0),
        Kind::Counter | Kind::Gauge => short(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_unit_that_fits() {
        let written = [0.0, 0.25, 7.0, 140.357, 1_520.0, 125_000.0].map(millis);
        assert_eq!(written, ["0s", "250µs", "7ms", "140.36ms", "1.52s", "2m5s"]);
    }
}
