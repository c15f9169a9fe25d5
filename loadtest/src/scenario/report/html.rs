//! The report as one HTML file that loads nothing.

use std::fmt::Write as _;

use super::plot::escape;
use super::text::{mark, row};
use super::{Report, plots, units};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6472;--grid:#e3e6eb;--paper:#fff;--l0:#2563a8;--l1:#c8641a;--l2:#6b7280;--l3:#2f8f5b;--l4:#9b3fa5;--bad:#b3261e;--good:#2f7d4f}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ec;--soft:#9aa3b2;--grid:#323842;--paper:#16191f;--l0:#6ea8e6;--l1:#f0975a;--l2:#a4abb8;--l3:#6cc593;--l4:#d087d8;--bad:#f2837b;--good:#6cc593}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:900px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0;color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.86rem}td,th{padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--grid);text-align:left;vertical-align:top}
td.value{font-family:ui-monospace,monospace;white-space:pre-wrap}.bad{color:var(--bad)}.good{color:var(--good)}
figure{margin:1.6rem 0}figcaption{color:var(--soft);font-size:.86rem}figcaption b{color:var(--ink)}
.legend{font-size:.8rem;color:var(--soft)}.legend span{margin-right:1.2rem}.legend i{display:inline-block;width:1.1rem;height:3px;vertical-align:middle;margin-right:.35rem}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}.grid{stroke:var(--grid)}.mark line{stroke:var(--bad);stroke-dasharray:4 3}.mark circle{fill:var(--bad)}
.line{fill:none;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.line.l0{stroke:var(--l0)}.line.l1{stroke:var(--l1)}.line.l2{stroke:var(--l2)}.line.l3{stroke:var(--l3)}.line.l4{stroke:var(--l4)}
i.l0{background:var(--l0)}i.l1{background:var(--l1)}i.l2{background:var(--l2)}i.l3{background:var(--l3)}i.l4{background:var(--l4)}
";

impl Report {
    /// The report as one HTML file with plots, which needs no network.
    pub fn html(&self) -> String {
        let mut page = String::new();
        let name = escape(&self.scenario.name);
        let verdict = match self.passed() {
            true => "<b class=\"good\">passed</b>",
            false => "<b class=\"bad\">failed</b>",
        };
        put(
            &mut page,
            format_args!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
                 <title>{name}</title><style>{STYLE}</style></head><body>\n<h1>{name}</h1>\n\
                 <p>{verdict}; begun {}, took {:.1} s; the generator used {:.1} s of processor time</p>\n",
                self.run.started_at.format("%Y-%m-%d %H:%M:%S UTC"),
                self.run.took.as_secs_f64(),
                self.generator.cpu_seconds
            ),
        );
        for load in &self.scenario.loads {
            let (name, what) = (escape(&load.name), escape(&load.executor.to_string()));
            put(&mut page, format_args!("<p>{name}: {what}</p>\n"));
        }
        for warning in &self.warnings {
            put(
                &mut page,
                format_args!("<p class=\"bad\">{}</p>\n", escape(warning)),
            );
        }
        self.verdict_table(&mut page);
        put(&mut page, format_args!("<h2>Over time</h2>\n"));
        for plot in plots::of(self) {
            page.push_str(&plot.figure());
        }
        self.event_table(&mut page);
        self.metric_table(&mut page);
        self.check_table(&mut page);
        self.reason_table(&mut page);
        page.push_str("</body></html>\n");
        page
    }

    fn verdict_table(&self, page: &mut String) {
        let rows = self.verdicts.iter().flat_map(|verdict| {
            verdict.conditions.iter().map(|(condition, value, held)| {
                let found = verdict.found(condition.aggregate, *value);
                let cells = [verdict.text.clone(), condition.to_string(), found];
                (Some(*held), cells.to_vec())
            })
        });
        table(page, "Thresholds", rows);
    }

    fn event_table(&self, page: &mut String) {
        let rows = self.run.happened.iter().map(|event| {
            let at = format!("{:.1} s", event.at.as_secs_f64());
            let problem = event.problem.clone().unwrap_or_default();
            (
                Some(event.problem.is_none()),
                vec![at, event.what.clone(), problem],
            )
        });
        table(page, "Events", rows);
    }

    fn metric_table(&self, page: &mut String) {
        let rows = self.metrics().map(|(metric, values)| {
            let cells = vec![metric.name.to_owned(), row(metric.name, &values)];
            (None, cells)
        });
        table(page, "Metrics", rows);
    }

    fn check_table(&self, page: &mut String) {
        let rows = self.checks().into_iter().map(|(name, hits, total)| {
            let share = format!("{} ({hits} of {total})", units::percent(hits, total));
            (Some(hits == total), vec![name.to_owned(), share])
        });
        table(page, "Checks", rows);
    }

    fn reason_table(&self, page: &mut String) {
        let rows = self.run.reasons.iter().map(|((phase, reason), count)| {
            (
                None,
                vec![count.to_string(), phase.name().to_owned(), reason.clone()],
            )
        });
        table(page, "Not done", rows);
    }
}

/// A table, where there are rows; each may begin with whether it is good.
fn table(page: &mut String, title: &str, rows: impl Iterator<Item = (Option<bool>, Vec<String>)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    put(page, format_args!("<h2>{title}</h2>\n<table>"));
    for (held, cells) in rows {
        page.push_str("<tr>");
        if let Some(held) = held {
            let class = if held { "good" } else { "bad" };
            put(
                page,
                format_args!("<td class=\"{class}\">{}</td>", mark(held)),
            );
        }
        for cell in cells {
            put(
                page,
                format_args!("<td class=\"value\">{}</td>", escape(&cell)),
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

fn put(page: &mut String, arguments: std::fmt::Arguments<'_>) {
    page.write_fmt(arguments)
        .expect("a string takes everything");
}
