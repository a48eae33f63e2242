//! What is found, for people and for programs.

use std::io::{Write, stdout};

use anabranch::{
    sink::table::Item,
    source::backfill::verify::{Finding, Repair, Report, VerifyPlan},
};
use serde_json::{Value, json};

use crate::meter::Meter;

/// Prints what happens to standard output, and how far it is to standard error.
pub(super) struct Printer {
    json: bool,
    keys: bool,
    meter: Meter,
}

impl Printer {
    pub(super) fn new(json: bool, keys: bool, rows: u64) -> Self {
        Self { json, keys, meter: Meter::new(Some(rows), json) }
    }

    pub(super) fn plan(&self, plan: &VerifyPlan) {
        match self.json {
            true => self.line(&json!({ "plan": plan }).to_string()),
            false => self.line(plan.to_string().trim_end()),
        }
    }

    pub(super) fn page(&mut self, report: &Report) {
        let found = format!("{:.0} read units, {} differences", report.units, report.differences());
        self.meter.show(report.source + report.target, || found);
    }

    pub(super) fn found(&self, finding: &Finding) {
        let key = finding.key().filter(|_| self.keys);
        match self.json {
            true => self.line(&json!({ "difference": as_json(finding, key) }).to_string()),
            false => {
                self.meter.end();
                let key = key.map(|key| format!("  {}", plain(key))).unwrap_or_default();
                self.line(&format!("differs    {finding}{key}"));
            }
        }
    }

    pub(super) fn end(&self, report: &Report) {
        self.meter.end();
        if self.json {
            return self.line(&json!({ "report": report, "ok": report.is_equal() }).to_string());
        }
        self.line(&format!("done       {report}; {:.0} read units", report.units));
        if report.differences() > 0 && !self.keys {
            self.line("           --keys shows which items");
        }
        if !report.is_equal() && report.repaired == 0 {
            self.line("           --repair puts right what differs");
        }
    }

    pub(super) fn stopped(&self, report: &Report) {
        self.meter.end();
        match self.json {
            true => self.line(&json!({ "report": report, "ok": false, "stopped": true }).to_string()),
            false => eprintln!("stopped; until then {report}"),
        }
    }

    /// A reader that has left, as `head` does, is no failure of ours.
    fn line(&self, text: &str) {
        _ = writeln!(stdout(), "{text}");
    }
}

fn as_json(finding: &Finding, key: Option<&Item>) -> Value {
    let mut difference = json!({ "kind": finding.kind(), "attributes": finding.attributes() });
    match finding.repair() {
        Repair::No => {}
        Repair::Done => difference["repaired"] = true.into(),
        Repair::Failed(why) => {
            difference["repaired"] = false.into();
            difference["because"] = why.as_str().into();
        }
    }
    if let Some(key) = key {
        difference["key"] = serde_json::to_value(key).unwrap_or_default();
    }
    difference
}

/// A key as DynamoDB JSON, its attributes in order.
fn plain(key: &Item) -> String {
    serde_json::to_value(key).unwrap_or_default().to_string()
}
