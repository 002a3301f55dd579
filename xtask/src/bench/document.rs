//! Formats measurements as Markdown and as a chart, and publishes both.

use std::fmt::Write as _;
use std::thread;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::measurement::Group;

/// The clients in the order of columns and bars.
const CLIENTS: [(&str, &str); 5] = [
    ("sdk", "rockset-apikeys"),
    ("generated", "generated client"),
    ("hand-written", "hand-written reqwest"),
    ("python", "vendor's Python client"),
    ("javascript", "vendor's JavaScript client"),
];

/// Separates the hand-written part of docs/performance.md from the measurements.
const MARK: &str = "<!-- `cargo xtask bench --publish` replaces everything below. -->\n";

/// Replaces the measurements in docs/performance.md, and the chart.
pub fn publish(sh: &Shell, groups: &[Group]) -> Result<()> {
    let file = "docs/performance.md";
    let text = sh.read_file(file)?;
    let (head, _) = text.split_once(MARK).with_context(|| format!("{file} has no line {MARK}"))?;
    let cpu = sh.read_file("/proc/cpuinfo")?;
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("CPU");
    let cores = thread::available_parallelism()?;
    let (date, rustc) = (cmd!(sh, "date +%F").read()?, cmd!(sh, "rustc --version").read()?);
    let machine = format!("Measured on {date}: {cpu}, {cores} cores, {rustc}.");
    sh.write_file(file, format!("{head}{MARK}\n{machine}\n{}", markdown(groups)))?;
    Ok(sh.write_file("docs/performance.svg", svg(groups))?)
}

/// Formats each group as a table.
pub fn markdown(groups: &[Group]) -> String {
    let mut text = String::new();
    for (title, measurements) in groups {
        let has = |client| measurements.iter().any(|it| it.values.contains_key(client));
        let clients: Vec<_> = CLIENTS.into_iter().filter(|(client, _)| has(*client)).collect();
        let names: String = clients.iter().map(|(_, name)| format!(" | {name}")).collect();
        let _ = writeln!(text, "\n## {title}\n\n| Measurement{names} | ratio |");
        let _ = writeln!(text, "| ---{} |", " | ---:".repeat(clients.len() + 1));
        for measurement in measurements {
            let values = clients.iter().map(|(client, _)| measurement.value(client));
            let values: String = values.map(|value| format!(" | {}", rounded(value))).collect();
            let _ = writeln!(text, "| {}{values} | {:.2} |", measurement.name, measurement.ratio());
        }
    }
    text
}

fn rounded(value: f64) -> String {
    match value {
        _ if value.is_nan() => "–".to_owned(),
        _ if value.fract() == 0.0 || value >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

const STYLE: &str = r#"
    :root { --card: #f6f8fa; --text: #1f2328; --note: #59636e; --main: #0969da; --bar: #afb8c1; }
    @media (prefers-color-scheme: dark) {
      :root { --card: #151b23; --text: #f0f6fc; --note: #9198a1; --main: #4493f8; --bar: #59636e; }
    }
    .card { fill: var(--card); }
    .title { fill: var(--text); font-weight: 600; }
    .name { fill: var(--text); text-anchor: end; }
    .value { fill: var(--note); }
    .bar { fill: var(--bar); }
    .own { fill: var(--main); }
"#;

/// Draws calls per second for each client, and this client's costs relative to hand-written ones.
fn svg(groups: &[Group]) -> String {
    let (mut rates, mut costs) = (Vec::new(), vec![("hand-written reqwest", 1.0, false)]);
    for measurement in groups.iter().flat_map(|(_, measurements)| measurements) {
        if measurement.name.contains("per second") {
            let bar = |(client, name)| (name, measurement.value(client), client == "sdk");
            rates.extend(CLIENTS.into_iter().map(bar));
        } else {
            // The unit in parentheses is not the ratio's.
            let name = measurement.name.split(" (").next().unwrap_or_default();
            costs.push((name, measurement.ratio(), true));
        }
    }
    let costs_title = "Costs relative to hand-written reqwest: less is better";
    let (mut body, mut y) = (String::new(), 40.0);
    for (title, bars, decimals) in
        [("Gets per second, 64 in flight: more is better", rates, 0), (costs_title, costs, 2)]
    {
        let _ = writeln!(body, r#"  <text class="title" x="24" y="{y}">{title}</text>"#);
        let most = bars.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
        for (name, value, is_own) in bars {
            y += 26.0;
            let own = if is_own { " own" } else { "" };
            let (top, width) = (y - 14.0, value / most * 380.0);
            let end = width + 338.0;
            let _ = write!(
                body,
                r#"  <text class="name" x="320" y="{y}">{name}</text>
  <rect class="bar{own}" x="330" y="{top}" width="{width:.1}" height="18" rx="3"/>
  <text class="value" x="{end:.1}" y="{y}">{value:.decimals$}</text>
"#
            );
        }
        y += 50.0;
    }
    let height = y - 24.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" role="img"
  font-family="-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14">
  <title>Calls per second by client, and costs relative to hand-written reqwest</title>
  <style>{STYLE}  </style>
  <rect class="card" width="800" height="{height}" rx="12"/>
{body}</svg>
"#
    )
}
