//! Reads what criterion leaves behind: for each benchmark a folder `new` with `benchmark.json` (its name) and
//! `estimates.json` (its times).
//!
//! A benchmark's full name is `CASE/PEER/WORKERS`, where the peer `bocage` is ours; `CASE/PEER` and `CASE` alone are
//! understood too. Times are medians in nanoseconds, for one element where the benchmark declares a throughput in
//! elements, otherwise for one iteration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::bench::Row;
use crate::error::{Error, Result};
use crate::workspace::files_in;

const OURS: &str = "bocage";

/// The rows of the benchmarks below this folder that were measured since this time, by case and workers.
pub fn rows(suite: &str, folder: &Path, since: SystemTime) -> Result<Vec<Row>> {
    let mut measured = Vec::new();
    for file in estimates_below(folder)? {
        let written = std::fs::metadata(&file).and_then(|metadata| metadata.modified());
        // Results of an earlier run, of cases that were renamed or filtered out, stay on disk.
        if written.is_ok_and(|written| written >= since) {
            measured.push(measurement(&file)?);
        }
    }
    Ok(compared(suite, measured))
}

struct Measurement {
    case: String,
    peer: String,
    workers: Option<u64>,
    time: f64,
    unit: &'static str,
}

fn measurement(estimates: &Path) -> Result<Measurement> {
    let benchmark = read(&estimates.with_file_name("benchmark.json"))?;
    let estimates_json = read(estimates)?;
    let name = benchmark["full_id"].as_str();
    let median = estimates_json["median"]["point_estimate"].as_f64();
    let (Some(name), Some(median)) = (name, median) else {
        return Err(Error::new(format!("{} is not what criterion writes", estimates.display())));
    };
    let (case, peer, workers) = parts(name);
    let (time, unit) = match benchmark["throughput"]["Elements"].as_f64() {
        Some(elements) => (median / elements, "ns/element"),
        None => (median, "ns"),
    };
    Ok(Measurement { case, peer, workers, time, unit })
}

fn parts(name: &str) -> (String, String, Option<u64>) {
    let mut parts: Vec<&str> = name.split('/').collect();
    let workers = parts.last().and_then(|last| last.parse().ok());
    if workers.is_some() {
        parts.pop();
    }
    let peer = if parts.len() > 1 { parts.pop() } else { None };
    (parts.join("/"), peer.unwrap_or(OURS).to_owned(), workers)
}

/// One row for each peer; one without a peer where there is none.
fn compared(suite: &str, measured: Vec<Measurement>) -> Vec<Row> {
    let mut cases: BTreeMap<(String, Option<u64>), Vec<Measurement>> = BTreeMap::new();
    for one in measured {
        cases.entry((one.case.clone(), one.workers)).or_default().push(one);
    }
    let mut rows = Vec::new();
    for ((case, workers), mut of_case) in cases {
        let Some(ours) = of_case.iter().position(|one| one.peer == OURS) else { continue };
        let ours = of_case.swap_remove(ours);
        of_case.sort_by(|a, b| a.peer.cmp(&b.peer));
        let row =
            Row { suite: suite.to_owned(), case, peer: None, workers, ours: ours.time, theirs: None, unit: ours.unit };
        if of_case.is_empty() {
            rows.push(row.clone());
        }
        for peer in of_case {
            rows.push(Row { peer: Some(peer.peer), theirs: Some(peer.time), ..row.clone() });
        }
    }
    rows
}

/// Every `new/estimates.json` below a folder; criterion nests them as deep as the name has parts.
fn estimates_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in files_in(folder)? {
        if path.is_dir() {
            found.append(&mut estimates_below(&path)?);
        } else if path.ends_with("new/estimates.json") {
            found.push(path);
        }
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).map_err(|cause| Error::io("read", file, &cause))?;
    serde_json::from_str(&text).map_err(|cause| Error::new(format!("{} is no JSON: {cause}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &str, time: f64) -> Measurement {
        let (case, peer, workers) = parts(name);
        Measurement { case, peer, workers, time, unit: "ns" }
    }

    #[test]
    fn a_name_is_case_peer_workers() {
        assert_eq!(parts("bank/bocage/2"), ("bank".into(), "bocage".into(), Some(2)));
        assert_eq!(parts("bank/transfer/mutex/16"), ("bank/transfer".into(), "mutex".into(), Some(16)));
        assert_eq!(parts("bank/mutex"), ("bank".into(), "mutex".into(), None));
        assert_eq!(parts("bank"), ("bank".into(), "bocage".into(), None));
    }

    #[test]
    fn each_peer_is_compared_with_ours_of_the_same_case_and_workers() {
        let rows = compared(
            "engine",
            vec![
                measured("ring/mutex/2", 30.0),
                measured("ring/bocage/2", 10.0),
                measured("ring/bocage/1", 8.0),
                measured("ring/channel/2", 5.0),
                measured("lonely/mutex/2", 1.0),
            ],
        );
        let shown: Vec<_> = rows.iter().map(|row| (row.workers, row.peer.as_deref(), row.ratio())).collect();
        assert_eq!(
            shown,
            [(Some(1), None, None), (Some(2), Some("channel"), Some(0.5)), (Some(2), Some("mutex"), Some(3.0))]
        );
    }

    #[test]
    fn only_results_of_this_run_are_read_and_time_is_for_one_element() {
        let folder = std::env::temp_dir().join(format!("xtask-criterion-{}", std::process::id()));
        let new = folder.join("spawn").join("bocage").join("2").join("new");
        std::fs::create_dir_all(&new).unwrap();
        std::fs::write(new.join("benchmark.json"), r#"{"full_id": "spawn/bocage/2", "throughput": {"Elements": 10}}"#)
            .unwrap();
        std::fs::write(new.join("estimates.json"), r#"{"median": {"point_estimate": 500.0}}"#).unwrap();
        let fresh = rows("engine", &folder, SystemTime::UNIX_EPOCH).unwrap();
        let stale = rows("engine", &folder, SystemTime::now() + std::time::Duration::from_secs(60)).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((fresh.len(), fresh[0].ours, fresh[0].unit), (1, 50.0, "ns/element"));
        assert!(stale.is_empty());
    }
}
