//! Which table it is, of all that have its name.

use std::fmt;

use anabranch::source::backfill::TableFacts;
use aws_sdk_dynamodb::Client;

/// An emulator gives the tables of all accounts this one.
const NO_ACCOUNT: &str = ":000000000000:";
/// DynamoDB Local gives the tables of all regions this one, and each region has tables of its own.
const NO_REGION: &str = ":ddblocal:";

/// A table where it was found.
pub(super) struct Located {
    pub(super) facts: TableFacts,
    region: String,
}

impl Located {
    /// A table that this client has described. All clients of a command have the same endpoint.
    pub(super) fn by(client: &Client, facts: TableFacts) -> Self {
        Self { facts, region: client.config().region().map(ToString::to_string).unwrap_or_default() }
    }

    /// Its ARN, or its name where it has none.
    pub(super) fn name(&self) -> &str {
        self.facts.arn.as_deref().unwrap_or(&self.facts.name)
    }

    /// Whether both are one table.
    pub(super) fn is(&self, other: &Self) -> bool {
        let Some(arn) = &self.facts.arn else { return false };
        other.facts.arn.as_ref() == Some(arn) && (!arn.contains(NO_REGION) || self.region == other.region)
    }

    /// Whether it is not the table with this ARN, as far as that can be told.
    pub(super) fn is_not(&self, arn: &str) -> bool {
        self.name() != arn && !self.name().contains(NO_ACCOUNT)
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.name(), self.region)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aws_sdk_dynamodb::types::TableDescription;

    use super::*;

    pub(in crate::backfill) fn located(arn: &str, region: &str) -> Located {
        let table = TableDescription::builder().table_arn(arn).build();
        Located { facts: TableFacts::described("PetTracker", &table), region: region.to_owned() }
    }

    #[test]
    fn a_table_is_told_by_its_arn_and_that_of_dynamodb_local_by_its_region_too() {
        for (arn, other, is) in [
            ("arn:aws:dynamodb:eu-west-1:123456789012:table/Pets", "eu-west-1", true),
            ("arn:aws:dynamodb:ddblocal:000000000000:table/Pets", "eu-west-1", true),
            ("arn:aws:dynamodb:ddblocal:000000000000:table/Pets", "us-east-1", false),
            // It has one region by all names.
            ("arn:aws:dynamodb:dynoxide:000000000000:table/Pets", "us-east-1", true),
        ] {
            assert_eq!(located(arn, "eu-west-1").is(&located(arn, other)), is, "{arn} {other}");
            assert!(!located(arn, "eu-west-1").is(&located(&format!("{arn}2"), "eu-west-1")), "{arn}");
        }
        let facts = TableFacts::described("Pets", &TableDescription::builder().build());
        let nameless = Located { facts, region: "eu-west-1".to_owned() };
        assert!(!nameless.is(&nameless), "nobody can tell");
        assert_eq!(nameless.to_string(), "Pets in eu-west-1");
    }
}
