//! Which table a record is of.

/// Whether an ARN is of another table than the one that goes by `name`, which may be an ARN itself. What is no ARN of a table
/// says nothing.
pub(super) fn is_another(name: &str, arn: &str) -> bool {
    let Some(table) = Arn::parse(arn) else { return false };
    match Arn::parse(name) {
        Some(named) => named != table,
        None => !name.contains(':') && name != table.name,
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Arn<'a> {
    region: &'a str,
    account: &'a str,
    name: &'a str,
}

impl<'a> Arn<'a> {
    /// The table of `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`, or of anything below it.
    fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next();
        let ("arn", _, "dynamodb") = (next()?, next()?, next()?) else { return None };
        let (region, account) = (next()?, next()?);
        let name = next()?.strip_prefix("table/")?.split('/').next()?;
        (!name.is_empty()).then_some(Self { region, account, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/Pets/stream/2026-11-21T00:00:00.000";

    #[test]
    fn a_table_goes_by_its_name_or_by_its_arn() {
        for (name, another) in [
            ("Pets", false),
            ("Pet", true),
            ("Staging", true),
            ("arn:aws:dynamodb:eu-west-1:123456789012:table/Pets", false),
            ("arn:aws:dynamodb:eu-west-1:123456789012:table/Staging", true),
            ("arn:aws:dynamodb:eu-west-1:210987654321:table/Pets", true),
            ("arn:aws:dynamodb:us-east-1:123456789012:table/Pets", true),
        ] {
            assert_eq!(is_another(name, STREAM), another, "{name}");
        }
        assert!(
            is_another("Pets", "arn:aws-cn:dynamodb:cn-north-1:1:table/Cats"),
            "the ARN of a table is one of its records, too"
        );
        assert!(is_another("Pets", "arn:aws:dynamodb:ddblocal:000000000000:table/Cats/stream/2026"));
    }

    #[test]
    fn what_is_no_arn_of_a_table_says_nothing() {
        for arn in [
            "",
            "arn:t",
            "local",
            "table/Cats",
            "arn:aws:kinesis:eu-west-1:1:stream/Cats",
            "arn:aws:dynamodb:eu-west-1:1:table/",
        ] {
            assert!(!is_another("Pets", arn), "{arn}");
        }
        assert!(!is_another("arn:local:Pets", STREAM));
    }
}
