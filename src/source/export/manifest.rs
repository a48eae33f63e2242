//! What the manifests of an export say.

use std::{fmt, time::UNIX_EPOCH};

use serde::Deserialize;

use crate::record::Timestamp;

/// The only format that is read here.
const FORMAT: &str = "DYNAMODB_JSON";
/// The type of exports that have a window; full ones may have none.
const INCREMENTAL: &str = "INCREMENTAL_EXPORT";

/// Whether an export holds a table or what has changed in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All items, as they were at one time.
    Full {
        /// The time.
        as_of: Timestamp,
    },
    /// The items that were changed within a window of time, as they were at its end.
    Incremental {
        /// The first moment of the window.
        from: Timestamp,
        /// The first moment behind it.
        until: Timestamp,
    },
}

impl Kind {
    /// The time as of which its rows are what the table held: the version of its records.
    ///
    /// Of a window the last microsecond, and not when each item was written. The state of an item at the end of the window
    /// is known to hold until then, so it counts more than an older row that an eventually consistent scan has read
    /// within the window, and less than anything that is known as of the window's end.
    pub fn as_of(self) -> Timestamp {
        match self {
            Self::Full { as_of } => as_of,
            Self::Incremental { until, .. } => Timestamp::from_nanos(until.as_nanos() - 1_000),
        }
    }

    /// The first moment whose changes are not in it.
    pub fn until(self) -> Timestamp {
        match self {
            Self::Full { as_of } => as_of,
            Self::Incremental { until, .. } => until,
        }
    }

    /// The first moment whose changes are in it, as changes.
    pub(super) fn from(self) -> Timestamp {
        match self {
            Self::Full { as_of } => as_of,
            Self::Incremental { from, .. } => from,
        }
    }
}

/// `as of 2026-11-21T02:40:00Z`, or `from 2026-11-21T02:40:00Z until 2026-11-21T03:40:00Z`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { as_of } => write!(f, "as of {as_of}"),
            Self::Incremental { from, until } => write!(f, "from {from} until {until}"),
        }
    }
}

/// `manifest-summary.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) export_arn: String,
    pub(super) table_arn: String,
    #[serde(default)]
    table_id: String,
    export_time: Option<String>,
    export_from_time: Option<String>,
    export_to_time: Option<String>,
    pub(super) manifest_files_s3_key: String,
    pub(super) item_count: u64,
    pub(super) output_format: String,
    export_type: Option<String>,
}

impl Summary {
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    pub(super) fn is_readable(&self) -> bool {
        self.output_format == FORMAT
    }

    /// The table, which is another one if it was deleted and made again.
    pub(super) fn table(&self) -> (&str, &str) {
        (&self.table_arn, &self.table_id)
    }

    pub(super) fn kind(&self) -> Result<Kind, String> {
        if self.export_type.as_deref() != Some(INCREMENTAL) {
            return Ok(Kind::Full { as_of: time("exportTime", &self.export_time)? });
        }
        let from = time("exportFromTime", &self.export_from_time)?;
        let until = time("exportToTime", &self.export_to_time)?;
        if until <= from {
            return Err("the window of `exportFromTime` and `exportToTime` is empty".to_owned());
        }
        Ok(Kind::Incremental { from, until })
    }
}

fn time(name: &str, text: &Option<String>) -> Result<Timestamp, String> {
    let text = text.as_deref().ok_or_else(|| format!("`{name}` is missing"))?;
    let time = humantime::parse_rfc3339(text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanos = time.and_then(|since| i64::try_from(since.as_nanos()).ok());
    nanos.map(Timestamp::from_nanos).ok_or_else(|| format!("`{name}` is no time like 2026-11-21T02:40:00.000Z"))
}

/// One line of `manifest-files.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataFile {
    pub(super) item_count: u64,
    pub(super) md5_checksum: String,
    /// Counted from the root of the bucket to which DynamoDB wrote it.
    #[serde(rename = "dataFileS3Key")]
    pub(super) key: String,
}

/// `manifest-files.json`: JSON lines.
pub(super) fn files(lines: &[u8]) -> Result<Vec<DataFile>, String> {
    let lines = lines.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let file = |(at, line)| serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", at + 1));
    lines.map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(more: &str) -> Summary {
        let json = format!(
            r#"{{"version":"2020-06-30","exportArn":"arn:e","tableArn":"arn:t","manifestFilesS3Key":"p/AWSDynamoDB/e/manifest-files.json",
            "itemCount":8,"billedSizeBytes":1,"s3Prefix":null,"outputFormat":"DYNAMODB_JSON"{more}}}"#
        );
        Summary::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_type_may_be_missing() {
        let at = r#","exportTime":"2020-11-04T07:28:34.028Z""#;
        let as_of = Timestamp::from_nanos(1_604_474_914_028_000_000);
        for more in [at.to_owned(), format!(r#"{at},"exportType":null"#), format!(r#"{at},"exportType":"FULL_EXPORT""#)]
        {
            assert_eq!(summary(&more).kind(), Ok(Kind::Full { as_of }));
        }
    }

    #[test]
    fn a_window_is_known_as_of_its_last_microsecond() {
        let window = |from, until| {
            summary(&format!(
                r#","exportType":"INCREMENTAL_EXPORT","exportFromTime":"{from}","exportToTime":"{until}""#
            ))
            .kind()
        };
        let kind = window("1970-01-01T00:00:01Z", "1970-01-01T00:15:01Z").unwrap();
        assert_eq!((kind.from().as_nanos(), kind.until().as_nanos()), (1_000_000_000, 901_000_000_000));
        assert_eq!(kind.as_of().as_nanos(), 900_999_999_000);
        assert!(window("1970-01-01T00:00:01Z", "1970-01-01T00:00:01Z").unwrap_err().contains("empty"));
        assert!(window("yesterday", "1970-01-01T00:00:01Z").unwrap_err().contains("exportFromTime"));
        assert!(summary(r#","exportType":"INCREMENTAL_EXPORT""#).kind().unwrap_err().contains("missing"));
        assert!(summary("").kind().unwrap_err().contains("exportTime"));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let good = r#"{"itemCount":1,"md5Checksum":"x","etag":"y-1","dataFileS3Key":"d/a.json.gz"}"#;
        assert_eq!(files(format!("{good}\n\n{good}\n").as_bytes()).unwrap().len(), 2);
        assert!(files(format!("{good}\n{{}}\n").as_bytes()).unwrap_err().starts_with("line 2: missing field"));
        assert!(Summary::parse(b"{}").unwrap_err().contains("exportArn"));
    }
}
