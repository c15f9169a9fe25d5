//! Line plots as SVG text.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 34.0;

/// One plot with lines over a common axis.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) x: Axis,
    pub(super) lines: Vec<Line>,
    /// Moments at which something happened.
    pub(super) marks: Vec<(f64, String)>,
    /// Writes a value of the y axis.
    pub(super) unit: fn(f64) -> String,
}

/// The horizontal axis: its range, and where something is written.
pub(super) struct Axis {
    pub(super) end: f64,
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) label: &'static str,
}

/// A line; it is interrupted where there is no value.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Axis {
    /// Seconds from 0.
    pub(super) fn of_seconds(end: f64) -> Self {
        let end = end.max(1e-3);
        Self {
            ticks: steps(end, 8.0)
                .map(|at| (at, super::units::short(at)))
                .collect(),
            end,
            label: "seconds since the begin of the run",
        }
    }
}

impl Plot {
    /// The plot as one `<figure>`.
    pub(super) fn figure(&self) -> String {
        let mut svg = String::new();
        let highest = self.lines.iter().flat_map(|line| &line.points);
        let highest = highest.filter_map(|point| point.1).fold(0.0, f64::max);
        let highest = if highest > 0.0 { highest * 1.05 } else { 1.0 };
        let x = |value: f64| LEFT + value / self.x.end * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / highest * (HEIGHT - TOP - BOTTOM);
        self.axes(&mut svg, highest, &x, &y);
        for (at, what) in &self.marks {
            let (at, what) = (x(*at), escape(what));
            let (top, bottom) = (TOP, HEIGHT - BOTTOM);
            write(
                &mut svg,
                format_args!(
                    "<g class=\"mark\"><title>{what}</title><line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
                     <circle cx=\"{at:.1}\" cy=\"{top}\" r=\"3.5\"/></g>"
                ),
            );
        }
        for (number, line) in self.lines.iter().enumerate() {
            let path = line.path(&x, &y);
            let name = escape(line.name);
            write(
                &mut svg,
                format_args!(
                    "<path class=\"line l{number}\" d=\"{path}\"><title>{name}</title></path>"
                ),
            );
        }
        let legend = self.lines.iter().enumerate();
        let legend: String = legend
            .map(|(number, line)| {
                format!(
                    "<span><i class=\"l{number}\"></i>{}</span>",
                    escape(line.name)
                )
            })
            .collect();
        format!(
            "<figure><figcaption><b>{}</b> {}</figcaption><div class=\"legend\">{legend}</div>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{svg}</svg></figure>\n",
            escape(&self.title),
            escape(&self.about),
            escape(&self.title)
        )
    }

    fn axes(
        &self,
        svg: &mut String,
        highest: f64,
        x: &impl Fn(f64) -> f64,
        y: &impl Fn(f64) -> f64,
    ) {
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in steps(highest, 4.0) {
            let (at, text) = (y(value), escape(&(self.unit)(value)));
            write(
                svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                    left - 8.0,
                    at + 4.0
                ),
            );
        }
        for (value, text) in &self.x.ticks {
            let (at, text) = (x(*value), escape(text));
            write(
                svg,
                format_args!(
                    "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                    bottom + 15.0
                ),
            );
        }
        let (middle, label) = ((left + right) / 2.0, self.x.label);
        write(
            svg,
            format_args!(
                "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\" class=\"label\">{label}</text>",
                HEIGHT - 3.0
            ),
        );
    }
}

impl Line {
    fn path(&self, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> String {
        let mut path = String::new();
        let mut drawing = false;
        for (at, value) in &self.points {
            let Some(value) = value else {
                drawing = false;
                continue;
            };
            let (at, value) = (x(*at), y(*value));
            // A line of no length is a dot, so that a point between gaps is seen.
            match std::mem::replace(&mut drawing, true) {
                true => write(&mut path, format_args!("L{at:.1} {value:.1}")),
                false => write(&mut path, format_args!("M{at:.1} {value:.1}h0")),
            }
        }
        path
    }
}

/// Round numbers from 0 to `end`, about `count` of them.
fn steps(end: f64, count: f64) -> impl Iterator<Item = f64> {
    let rough = end / count;
    let power = 10_f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = round
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    (0..)
        .map(move |number| f64::from(number) * step)
        .take_while(move |value| *value <= end)
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes everything");
}

/// A text as it may stand in HTML, between tags and in quotes.
pub(super) fn escape(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(steps(1.0, 4.0).collect::<Vec<_>>(), [0.0, 0.5, 1.0]);
        assert_eq!(
            steps(47.0, 8.0).collect::<Vec<_>>(),
            [0.0, 10.0, 20.0, 30.0, 40.0]
        );
    }

    #[test]
    fn a_line_breaks_where_there_is_no_value() {
        let line = Line {
            name: "p50",
            points: vec![
                (0.0, Some(1.0)),
                (1.0, Some(2.0)),
                (2.0, None),
                (3.0, Some(4.0)),
            ],
        };
        assert_eq!(line.path(&|x| x, &|y| y), "M0.0 1.0h0L1.0 2.0M3.0 4.0h0");
    }
}
