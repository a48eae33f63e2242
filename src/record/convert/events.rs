//! To and from the records of `aws_lambda_events`.

use std::time::SystemTime;

use aws_lambda_events::dynamodb::{EventRecord, StreamRecord, StreamViewType, UserIdentity};

use crate::record::wire::{
    Cause, DecodeError, Identity, Image, Origin, RawRecord, RecordParts, Timestamp, UnreadableRecord, ViewType,
};

impl TryFrom<&RawRecord> for EventRecord {
    type Error = DecodeError;

    /// Decodes the keys and both images without loss. `aws_lambda_events` has no way to say that a record has no time, no size
    /// or no id: those read as 1970, 0 and an empty text there.
    fn try_from(raw: &RawRecord) -> Result<Self, DecodeError> {
        let mut record = Self::default();
        record.aws_region = raw.region().unwrap_or_default().to_owned();
        record.event_id = raw.event_id().unwrap_or_default().to_owned();
        record.event_name = raw.event_name().to_string();
        record.event_source = Some(raw.origin().event_source().to_owned());
        record.event_source_arn = raw.source_arn().map(str::to_owned);
        record.user_identity = identity(raw.cause());
        record.change = change(raw)?;
        Ok(record)
    }
}

fn change(raw: &RawRecord) -> Result<StreamRecord, DecodeError> {
    let item = |image: Option<Image<'_>>| image.map_or_else(|| Ok(serde_dynamo::Item::default()), |image| image.item());
    let mut change = StreamRecord::default();
    if let Some(time) = raw.created_at() {
        change.approximate_creation_date_time = SystemTime::from(time).into();
    }
    change.keys = raw.keys().item()?;
    change.new_image = item(raw.new_image())?;
    change.old_image = item(raw.old_image())?;
    change.sequence_number = Some(raw.sequence_number().to_owned());
    change.size_bytes = raw.size_bytes().and_then(|size| i64::try_from(size).ok()).unwrap_or_default();
    change.stream_view_type = raw.view_type().map(|view| match view {
        ViewType::KeysOnly => StreamViewType::KeysOnly,
        ViewType::NewImage => StreamViewType::NewImage,
        ViewType::OldImage => StreamViewType::OldImage,
        ViewType::NewAndOldImages => StreamViewType::NewAndOldImages,
    });
    Ok(change)
}

fn identity(cause: Cause<'_>) -> Option<UserIdentity> {
    let mut identity = UserIdentity::default();
    identity.type_ = "Service".to_owned();
    identity.principal_id = match cause {
        Cause::User => return None,
        Cause::TimeToLive => "dynamodb.amazonaws.com".to_owned(),
        Cause::Service(principal) => principal.to_owned(),
    };
    Some(identity)
}

impl TryFrom<EventRecord> for RawRecord {
    type Error = UnreadableRecord;

    /// Writes the record as an event has it, and reads it. What `aws_lambda_events` shows as 1970 or as an empty image counts as
    /// absent.
    fn try_from(record: EventRecord) -> Result<Self, UnreadableRecord> {
        RecordParts::from(record).into_record()
    }
}

impl From<EventRecord> for RecordParts<'static> {
    fn from(record: EventRecord) -> Self {
        let item = |item: serde_dynamo::Item| (!item.is_empty()).then(|| item.into());
        let change = record.change;
        let origin = Origin::of(record.event_source.as_deref(), change.sequence_number.as_deref());
        Self {
            origin,
            event_id: Some(record.event_id.into()).filter(|id: &std::borrow::Cow<'_, str>| !id.is_empty()),
            event_name: Some(record.event_name.into()),
            region: Some(record.aws_region.into()),
            source_arn: record.event_source_arn.map(Into::into),
            created_at: change
                .approximate_creation_date_time
                .timestamp_nanos_opt()
                .filter(|&nanos| nanos != 0)
                .map(Timestamp::from_nanos),
            keys: item(change.keys),
            new_image: item(change.new_image),
            old_image: item(change.old_image),
            sequence_number: change.sequence_number.map(Into::into),
            size_bytes: u64::try_from(change.size_bytes).ok(),
            view_type: change.stream_view_type.map(|view| view.to_string().into()),
            identity: record.user_identity.map(|identity| Identity {
                kind: Some(identity.type_.into()),
                principal: Some(identity.principal_id.into()),
            }),
        }
    }
}
