//! A benchmark's table, plain enough to paste into a commit message.

use crate::bench::Row;

/// Columns: case, workers, our time, peer, its time, ratio.
pub fn of(rows: &[Row]) -> String {
    let mut lines = vec![["case", "workers", "bocage", "peer", "theirs", "ratio"].map(String::from)];
    for row in rows {
        let absent = || "-".to_owned();
        lines.push([
            row.case.clone(),
            row.workers.map_or_else(absent, |workers| workers.to_string()),
            time(row.ours, row.unit),
            row.peer.clone().unwrap_or_else(absent),
            row.theirs.map_or_else(absent, |theirs| time(theirs, row.unit)),
            row.ratio().map_or_else(absent, |ratio| format!("{ratio:.2}")),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut table = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            0 | 3 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        table += &format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    table + "A ratio above 1: Bocage is that much faster.\n"
}

/// Three digits and a unit that keeps them before the eye.
fn time(nanoseconds: f64, unit: &str) -> String {
    let (value, prefix) = match nanoseconds {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "µs"),
        ns => (ns, "ns"),
    };
    let decimals = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {}", unit.replacen("ns", prefix, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        assert_eq!(time(1.234, "ns"), "1.23 ns");
        assert_eq!(time(56_780.0, "ns"), "56.8 µs");
        assert_eq!(time(999.0, "ns/element"), "999 ns/element");
        assert_eq!(time(2.5e9, "ns"), "2.50 s");
    }

    #[test]
    fn columns_line_up() {
        let row = |case: &str, theirs: Option<f64>| Row {
            suite: "s".into(),
            case: case.into(),
            peer: theirs.map(|_| "mutex".into()),
            workers: Some(2),
            ours: 10.0,
            theirs,
            unit: "ns",
        };
        let table = of(&[row("a", Some(25.0)), row("longer", None)]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "case    workers   bocage  peer    theirs  ratio");
        assert_eq!(lines[1], "a             2  10.0 ns  mutex  25.0 ns   2.50");
        assert_eq!(lines[2], "longer        2  10.0 ns  -            -      -");
    }
}
