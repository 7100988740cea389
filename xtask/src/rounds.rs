//! Reads the rounds that a criterion suite measured: `rounds.json`, which benches/benches/suite.rs describes.
//!
//! A row's times are medians of the rounds, and its ratio is that of the medians. In each round all engines ran one
//! after the other: the lowest and the highest ratio of a round say how far to trust it.

use std::path::Path;

use serde_json::{Map, Value};

use crate::bench::Row;
use crate::error::{Error, Result};

const OURS: &str = "bocage";

/// What a suite measured.
#[derive(Debug)]
pub struct Measured {
    /// What all allocated with.
    pub allocator: String,
    /// How many rounds were counted.
    pub rounds: usize,
    /// In the order of the suite; within a case and a number of workers by the peer's name.
    pub rows: Vec<Row>,
}

/// What this file says that this suite measured.
pub fn read(suite: &str, file: &Path) -> Result<Measured> {
    let text = std::fs::read_to_string(file).map_err(|cause| Error::io("read", file, &cause))?;
    let json: Value =
        serde_json::from_str(&text).map_err(|cause| Error::new(format!("{} is no JSON: {cause}", file.display())))?;
    measured(suite, &json).ok_or_else(|| Error::new(format!("{} is not what a suite writes", file.display())))
}

fn measured(suite: &str, json: &Value) -> Option<Measured> {
    let mut measured = Measured { allocator: json["allocator"].as_str()?.to_owned(), rounds: 0, rows: Vec::new() };
    for case in json["cases"].as_array()? {
        let behaviors = case["behaviors"].as_u64()?;
        let (per, unit) = if behaviors > 1 { (behaviors as f64, "ns/behavior") } else { (1.0, "ns") };
        let engines = case["nanoseconds"].as_object()?;
        let ours = times(engines, OURS, per)?;
        measured.rounds = ours.len();
        let alone = Row {
            suite: suite.to_owned(),
            case: case["case"].as_str()?.to_owned(),
            peer: None,
            workers: Some(case["workers"].as_u64()?),
            ours: median(&ours)?,
            theirs: None,
            spread: None,
            unit,
        };
        let before = measured.rows.len();
        for peer in engines.keys().filter(|name| *name != OURS) {
            let theirs = times(engines, peer, per)?;
            let ratios = theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours);
            let spread = ratios.fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
            measured.rows.push(Row {
                peer: Some(peer.clone()),
                theirs: Some(median(&theirs)?),
                spread: Some(spread),
                ..alone.clone()
            });
        }
        if measured.rows.len() == before {
            measured.rows.push(alone);
        }
    }
    Some(measured)
}

/// The times of one engine's rounds, each divided by `per`.
fn times(engines: &Map<String, Value>, name: &str, per: f64) -> Option<Vec<f64>> {
    engines.get(name)?.as_array()?.iter().map(|time| Some(time.as_f64()? / per)).collect()
}

/// None of nothing.
fn median(times: &[f64]) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let upper = *times.get(times.len() / 2)?;
    if times.len() % 2 == 1 { Some(upper) } else { Some((times[times.len() / 2 - 1] + upper) / 2.0) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_is_of_ratios_within_a_round() {
        // Over all rounds theirs is from 100 to 300 and ours from 10 to 100: only round by round is it never below 2.
        let json = json!({"allocator": "a", "cases": [
            {"case": "W1", "workers": 2, "behaviors": 10,
             "nanoseconds": {"bocage": [100, 10, 50], "rayon": [300, 100, 100], "boc": [100, 10, 50]}},
        ]});
        let measured = measured("engine", &json).unwrap();
        let shown: Vec<_> =
            measured.rows.iter().map(|row| (row.peer.as_deref(), row.ours, row.ratio(), row.spread)).collect();
        assert_eq!(
            shown,
            [(Some("boc"), 5.0, Some(1.0), Some((1.0, 1.0))), (Some("rayon"), 5.0, Some(2.0), Some((2.0, 10.0)))]
        );
        assert_eq!((measured.rounds, measured.allocator.as_str(), measured.rows[0].unit), (3, "a", "ns/behavior"));
    }

    #[test]
    fn a_case_without_a_peer_has_one_row() {
        let json = json!({"allocator": "a", "cases": [
            {"case": "W10-p50", "workers": 1, "behaviors": 1, "nanoseconds": {"bocage": [7, 9]}},
        ]});
        let rows = measured("engine", &json).unwrap().rows;
        assert_eq!((rows.len(), rows[0].ours, rows[0].unit), (1, 8.0, "ns"));
        assert_eq!((&rows[0].peer, rows[0].theirs, rows[0].ratio()), (&None, None, None));
    }

    #[test]
    fn what_lacks_a_field_or_a_round_is_refused() {
        assert!(measured("engine", &json!({"cases": []})).is_none());
        let of = |times: Value| json!({"allocator": "a", "cases": [{"case": "W1", "workers": 1, "behaviors": 1, "nanoseconds": times}]});
        assert!(measured("engine", &of(json!({"bocage": []}))).is_none());
        assert!(measured("engine", &of(json!({"boc": [1]}))).is_none());
        assert!(measured("engine", &of(json!({"bocage": ["x"]}))).is_none());
    }
}
