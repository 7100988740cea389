//! A benchmark's table: Markdown, aligned, so that it reads the same on a terminal, in a commit message and in the
//! book.

use crate::bench::Row;

/// The peers in the order of their columns; others follow.
const PEERS: [&str; 6] = ["boc", "rayon", "tokio", "threads", "writes", "handles"];

/// What the geometric mean is over: W1 to W8. Of W7's variants the one whose behaviors are empty; the other one
/// measures mostly its own microsecond of work.
const MEANT: [&str; 10] = ["W1", "W1p", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W8-9"];

/// Whom the mean is beside.
const BESIDE: &str = "boc";

/// A variant of ours, which nobody would want to be slower.
const OWN: &str = "handles";

/// One line for each case and number of workers: our time, and the ratio to each peer with the lowest and the
/// highest of a round. Below it the geometric mean, and where others are faster.
pub fn of(rows: &[Row]) -> String {
    let mut peers: Vec<&str> = rows.iter().filter_map(|row| row.peer.as_deref()).collect();
    peers.sort_by_key(|peer| (PEERS.iter().position(|known| known == peer).unwrap_or(PEERS.len()), *peer));
    peers.dedup();
    let mut lines: Vec<Vec<String>> =
        vec![["case", "workers", "bocage"].iter().chain(&peers).map(|name| (*name).to_owned()).collect()];
    // Rows of one case and number of workers are neighbours.
    for of_case in rows.chunk_by(|a, b| (&a.case, a.workers) == (&b.case, b.workers)) {
        let Row { case, workers, ours, unit, .. } = &of_case[0];
        let workers = workers.map_or_else(String::new, |workers| workers.to_string());
        let mut line = vec![case.clone(), workers, time(*ours, unit)];
        for peer in &peers {
            let row = of_case.iter().find(|row| row.peer.as_deref() == Some(peer));
            line.push(row.map_or_else(String::new, ratio));
        }
        lines.push(line);
    }
    aligned(&lines) + &mean(rows) + &losses(rows)
}

/// The geometric mean of the ratios beside `boc`, and the lowest of them; empty if there are none.
fn mean(rows: &[Row]) -> String {
    let meant = rows.iter().filter(|row| MEANT.contains(&&*row.case) && row.peer.as_deref() == Some(BESIDE));
    let ratios: Vec<(&Row, f64)> = meant.filter_map(|row| Some((row, row.ratio()?))).collect();
    let of = |workers: Option<u64>| {
        let ratios: Vec<f64> = ratios
            .iter()
            .filter(|(row, _)| workers.is_none() || row.workers == workers)
            .map(|(_, ratio)| ratio.ln())
            .collect();
        (ratios.iter().sum::<f64>() / ratios.len() as f64).exp()
    };
    let Some((row, lowest)) = ratios.iter().min_by(|(_, a), (_, b)| a.total_cmp(b)) else {
        return String::new();
    };
    let mut workers: Vec<u64> = ratios.iter().filter_map(|(row, _)| row.workers).collect();
    workers.sort_unstable();
    workers.dedup();
    let mut text = format!("\nGeometric mean beside `{BESIDE}`, {} rows of W1 to W8: {:.2}", ratios.len(), of(None));
    for count in workers {
        text += &format!(", with {} {:.2}", counted(count), of(Some(count)));
    }
    let with = row.workers.map(|workers| format!(" with {}", counted(workers))).unwrap_or_default();
    text + &format!(". The lowest: {}{with}, {lowest:.2}.\n", row.case)
}

/// Each row in which a peer is faster, by what the table shows; empty if there is none.
fn losses(rows: &[Row]) -> String {
    let is_slower = |row: &&Row| row.peer.as_deref() != Some(OWN) && row.ratio().is_some_and(|ratio| ratio < 0.995);
    let mut lost: Vec<&Row> = rows.iter().filter(is_slower).collect();
    if lost.is_empty() {
        return String::new();
    }
    lost.sort_by(|a, b| a.ratio().partial_cmp(&b.ratio()).expect("times are numbers"));
    let told = lost.iter().map(|row| {
        let workers = row.workers.map(|workers| format!(", {}", counted(workers))).unwrap_or_default();
        let peer = row.peer.as_deref().unwrap_or_default();
        format!("- {}{workers}, beside `{peer}`: {}\n", row.case, ratio(row))
    });
    format!("\nBelow 1, the lowest first:\n\n{}", told.collect::<String>())
}

fn counted(workers: u64) -> String {
    if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") }
}

/// As Markdown; the first line is the head, the first column is text and the others are numbers.
pub fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let widths = lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count());
        // A rule has at least a dash and a colon.
        widths.max().unwrap_or(0).max(2)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            table += &if column == 0 { format!("| {cell:<width$} ") } else { format!("| {cell:>width$} ") };
        }
        table += "|\n";
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width - 1);
                table += &if column == 0 { format!("| -{dashes} ") } else { format!("| {dashes}: ") };
            }
            table += "|\n";
        }
    }
    table
}

fn ratio(row: &Row) -> String {
    match (row.ratio(), row.spread) {
        (Some(ratio), Some((low, high))) => format!("{} ({}–{})", short(ratio), short(low), short(high)),
        (Some(ratio), None) => short(ratio),
        (None, _) => String::new(),
    }
}

/// Two decimals, as far as they mean something.
fn short(ratio: f64) -> String {
    if ratio < 9.995 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

/// Three digits and a unit that keeps them before the eye. What a time is of, if not of one behavior, the case says.
fn time(nanoseconds: f64, unit: &str) -> String {
    let (value, prefix) = match nanoseconds {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "µs"),
        ns => (ns, "ns"),
    };
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {}", unit.trim_end_matches("/behavior").replacen("ns", prefix, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &str, workers: u64, peer: Option<&str>, theirs: f64) -> Row {
        Row {
            suite: "s".into(),
            case: case.into(),
            peer: peer.map(str::to_owned),
            workers: Some(workers),
            ours: 10.0,
            theirs: peer.map(|_| theirs),
            spread: peer.map(|_| (theirs / 20.0, theirs / 5.0)),
            unit: "ns/behavior",
        }
    }

    #[test]
    fn times_keep_three_digits() {
        assert_eq!(time(1.234, "ns"), "1.23 ns");
        assert_eq!(time(99.96, "ns"), "100 ns");
        assert_eq!(time(56_780.0, "ns"), "56.8 µs");
        assert_eq!(time(999.0, "ns/behavior"), "999 ns");
        assert_eq!(time(2.5e9, "ns"), "2.50 s");
    }

    #[test]
    fn a_line_has_all_peers_of_a_case_in_columns_that_line_up() {
        let rows = [row("a", 1, Some("tokio"), 25.0), row("a", 1, Some("boc"), 150.0), row("longer", 2, None, 0.0)];
        let table = of(&rows);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "| case   | workers |  bocage |          boc |            tokio |");
        assert_eq!(lines[1], "| ------ | ------: | ------: | -----------: | ---------------: |");
        assert_eq!(lines[2], "| a      |       1 | 10.0 ns | 15 (7.50–30) | 2.50 (1.25–5.00) |");
        assert_eq!(lines[3], "| longer |       2 | 10.0 ns |              |                  |");
    }

    #[test]
    fn what_is_below_one_is_listed_but_for_a_variant_of_ours() {
        let rows = [
            row("W1", 1, Some("boc"), 9.96),
            row("W1", 1, Some("rayon"), 9.0),
            row("W2", 2, Some("boc"), 5.0),
            row("W2", 2, Some("handles"), 5.0),
        ];
        assert_eq!(
            losses(&rows),
            "\nBelow 1, the lowest first:\n\n- W2, 2 workers, beside `boc`: 0.50 (0.25–1.00)\n\
             - W1, 1 worker, beside `rayon`: 0.90 (0.45–1.80)\n"
        );
        assert_eq!(losses(&rows[..1]), "");
    }

    #[test]
    fn the_mean_is_geometric_and_of_the_empty_behaviors_of_w1_to_w8_beside_boc() {
        let rows = [
            row("W1", 1, Some("boc"), 20.0),
            row("W1", 1, Some("rayon"), 1000.0),
            row("W8", 2, Some("boc"), 5.0),
            row("W7-1us", 1, Some("boc"), 1000.0),
            row("W9", 1, Some("boc"), 1000.0),
        ];
        let mean = mean(&rows);
        assert_eq!(
            mean,
            "\nGeometric mean beside `boc`, 2 rows of W1 to W8: 1.00, with 1 worker 2.00, with 2 workers 0.50. \
             The lowest: W8 with 2 workers, 0.50.\n"
        );
        assert_eq!(super::mean(&rows[1..2]), "");
    }
}
