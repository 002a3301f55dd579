//! Shows the figures as a chart.

use std::fmt::Write as _;

use super::Row;
use super::report::{CLIENTS, Report, grouped};

/// Where bars begin, and what is left of the width of 800 for them and their figures.
const LEFT: f64 = 330.0;
const WIDTH: f64 = 380.0;

const STYLE: &str = r#"
    :root { --card: #f6f8fa; --text: #1f2328; --note: #59636e; --main: #0969da; --bar: #afb8c1; }
    @media (prefers-color-scheme: dark) {
      :root { --card: #151b23; --text: #f0f6fc; --note: #9198a1; --main: #4493f8; --bar: #59636e; }
    }
    .card { fill: var(--card); }
    .title { fill: var(--text); font-weight: 600; }
    .name { fill: var(--text); text-anchor: end; }
    .figure, .note { fill: var(--note); }
    .note { font-size: 12.5px; text-anchor: middle; }
    .bar { fill: var(--bar); }
    .own { fill: var(--main); }
    .one { stroke: var(--text); stroke-width: 1.5; stroke-dasharray: 4 3; }
"#;

/// Draws calls per second for each client, and what this project's calls and builds cost as
/// multiples of those by hand.
pub fn svg(report: &Report) -> String {
    let rows = || report.groups.iter().flat_map(|group| &group.rows);
    let mut chart = Chart { body: String::new(), y: 40.0 };
    let is_rate = |row: &&Row| row.what.contains("per second");
    for row in rows().filter(is_rate) {
        chart.title("Gets per second, 64 in flight: more is better");
        let most = row.values.values().copied().fold(0.0, f64::max);
        for (client, title) in CLIENTS {
            if let Some(value) = row.values.get(client) {
                let share = value / most;
                chart.bar(title, share, share, &grouped(*value), client == "sdk");
            }
        }
    }
    chart.y += 24.0;
    chart.title("Costs of rockset-apikeys, reqwest by hand = 1.00: less is better");
    let top = chart.y;
    let costs =
        || rows().filter(|row| !is_rate(row) && row.ratio().is_finite() && row.target.is_some());
    let most = costs().map(Row::ratio).fold(1.0, f64::max);
    for row in costs() {
        // The unit of the values is not the ratio's.
        let what = row.what.split(" (").next().unwrap_or_default();
        let share = row.ratio() / most;
        // Not below the line.
        let figure_at = share.max(most.recip());
        chart.bar(what, share, figure_at, &format!("{:.2}", row.ratio()), true);
    }
    let (x, end) = (LEFT + WIDTH / most, chart.y - 6.0);
    let _ = writeln!(chart.body, r#"  <path class="one" d="M{x:.1} {:.1}V{end:.1}"/>"#, top - 20.0);
    let y = end + 16.0;
    let _ = writeln!(chart.body, r#"  <text class="note" x="{x:.1}" y="{y:.1}">1.00</text>"#);
    let height = chart.y + 28.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" role="img"
  font-family="-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14">
  <title>Calls per second by client, and costs beside reqwest by hand</title>
  <style>{STYLE}  </style>
  <rect class="card" width="800" height="{height}" rx="12"/>
{}</svg>
"#,
        chart.body
    )
}

struct Chart {
    body: String,
    /// Where the next line of text is.
    y: f64,
}

impl Chart {
    fn title(&mut self, text: &str) {
        let y = self.y;
        let _ = writeln!(self.body, r#"  <text class="title" x="24" y="{y}">{text}</text>"#);
        self.y += 30.0;
    }

    /// Draws a bar whose length is this share of the longest, and its figure at another one.
    fn bar(&mut self, name: &str, share: f64, figure_at: f64, figure: &str, is_own: bool) {
        let (y, width, own) = (self.y, share * WIDTH, if is_own { " own" } else { "" });
        let (right, top, end) = (LEFT - 10.0, y - 14.0, LEFT + figure_at * WIDTH + 8.0);
        let _ = write!(
            self.body,
            r#"  <text class="name" x="{right}" y="{y}">{name}</text>
  <rect class="bar{own}" x="{LEFT}" y="{top}" width="{width:.1}" height="18" rx="3"/>
  <text class="figure" x="{end:.1}" y="{y}">{figure}</text>
"#
        );
        self.y += 26.0;
    }
}
