//! The rules by name.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// AWS refuses it: the deployment fails.
    Error,
    /// It is deployed, and then loses records, blocks a shard, loops or costs.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! rules {
    ($($name:ident $severity:ident $id:literal $summary:literal)*) => {
        /// What a template is checked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $summary] $name,)*
        }

        impl Rule {
            /// All rules: errors first, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name by which it is allowed, and found in reports: `out-of-range`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// How bad what it finds is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),* }
            }

            /// What it finds, in one sentence.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$name => $summary),* }
            }
        }
    };
}

rules! {
    Undefined Error "undefined" "A name that the template does not have."
    WrongType Error "wrong-type" "A setting of another type than AWS takes."
    OutOfRange Error "out-of-range" "A number outside of what AWS takes."
    StartingPosition Error "starting-position" "A starting position that is missing, or not for DynamoDB streams."
    ResponseType Error "response-type" "A function response type that does not exist."
    Unsupported Error "unsupported" "A setting that DynamoDB streams do not have."
    Misspelt Error "misspelt" "A setting whose name is misspelt."
    OnSuccess Error "on-success" "A destination for success, which streams do not have."
    DestinationFifo Error "destination-fifo" "A FIFO queue or topic as failure destination."
    DestinationKind Error "destination-kind" "A failure destination that is no queue, topic or bucket."
    DestinationArn Error "destination-arn" "A failure destination that is named by something else than its ARN."
    TumblingWithFilters Error "tumbling-with-filters" "Tumbling windows together with filters."
    TumblingWithParallelization Error "tumbling-with-parallelization" "Tumbling windows together with parallel batches of a shard."
    Pattern Error "pattern" "A filter pattern that is none."
    TooManyFilters Error "too-many-filters" "More filters than a mapping may have."
    StreamArn Error "stream-arn" "A source that is not the stream of a table."
    NoStream Error "no-stream" "A table whose stream is read and that has none."
    DuplicateMapping Error "duplicate-mapping" "Two mappings of one stream to one function."
    StreamPermission Error "stream-permission" "A role that must not read the stream."
    QueueTimeout Error "queue-timeout" "A failure queue that shows messages again before its function is done."
    EndlessRetries Warning "endless-retries" "Retries without bound: one record blocks its shard for a day."
    NoFailureDestination Warning "no-failure-destination" "Records that are given up vanish without trace."
    DestinationPermission Warning "destination-permission" "A role that must not write to the failure destination."
    NoBatchResponse Warning "no-batch-response" "One failed record repeats its whole batch."
    NoBisect Warning "no-bisect" "A batch that crashes the function is never divided."
    Latest Warning "latest" "A start at the end of the stream, which misses the first records."
    RecordAge Warning "record-age" "A record age that the stream does not reach."
    WindowOverTimeout Warning "window-over-timeout" "Batches gathered for longer than the function may work on them."
    ViewTooNarrow Warning "view-too-narrow" "A filter on an image that the stream does not carry."
    NumericOnNumber Warning "numeric-on-number" "A numeric filter on an N attribute, which never matches."
    ExistsOnAttribute Warning "exists-on-attribute" "An exists filter beside the type descriptor, which does not see the attribute."
    NeverMatches Warning "never-matches" "A filter on something that no stream record has."
    ReadOtherwise Warning "read-otherwise" "A filter that AWS reads otherwise than it is written."
    Undocumented Warning "undocumented" "A filter operator that Lambda does not document."
    Loop Warning "loop" "A function that writes to the table whose changes it handles."
    NoDeletePermission Warning "no-delete-permission" "A function that may write rows and not delete them."
    TooManyReaders Warning "too-many-readers" "More readers of a stream than DynamoDB serves without throttling."
    QueueTimeoutLow Warning "queue-timeout-low" "A failure queue whose visibility timeout leaves no room for retries."
    QueueRetention Warning "queue-retention" "A failure queue that forgets before the stream does."
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
