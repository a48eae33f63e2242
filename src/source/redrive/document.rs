//! The forms in which failures are written down.

use serde::Deserialize;
use serde_json::{Deserializer, value::RawValue};

use super::{Lost, LostRecords, RedriveError};
use crate::{sink::dead_letter::DeadLetter, source::mapping::Sequence};

/// What tells the forms apart.
#[derive(Deserialize)]
struct Form<'a> {
    /// A dead letter of ours.
    schema: Option<&'a RawValue>,
    /// A failure document (ESM-47, 48).
    #[serde(borrow, rename = "DDBStreamBatchInfo")]
    batch: Option<&'a RawValue>,
    /// The notification of a topic.
    #[serde(borrow, rename = "Message")]
    message: Option<&'a RawValue>,
    /// A message of a queue, as `aws sqs receive-message` prints it.
    #[serde(borrow, rename = "Body")]
    body: Option<&'a RawValue>,
    /// What it prints of several.
    #[serde(borrow, rename = "Messages")]
    messages: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "requestContext")]
    request: RequestContext,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    function_arn: String,
    condition: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: Option<Sequence>,
    end_sequence_number: Option<Sequence>,
    batch_size: Option<usize>,
    stream_arn: String,
}

/// Every failure in a text: JSON values one after the other, in whatever form each of them is.
pub(super) fn read_all(text: &str) -> Result<Vec<Lost>, RedriveError> {
    let mut found = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<&RawValue>() {
        read(value.map_err(RedriveError::not_read)?.get(), &mut found)?;
    }
    Ok(found)
}

fn read(text: &str, found: &mut Vec<Lost>) -> Result<(), RedriveError> {
    let form: Form<'_> = serde_json::from_str(text).map_err(RedriveError::not_read)?;
    if form.schema.is_some() {
        let letter = DeadLetter::from_json(text).map_err(RedriveError::not_read)?;
        found.push(Lost::of_letter(letter));
    } else if form.batch.is_some() {
        found.push(document(text)?);
    } else if let Some(inner) = form.message.or(form.body) {
        let inner: String = serde_json::from_str(inner.get()).map_err(RedriveError::not_read)?;
        read(&inner, found)?;
    } else if let Some(messages) = form.messages {
        messages.into_iter().try_for_each(|message| read(message.get(), found))?;
    } else {
        return Err(RedriveError::not_read("it has neither `DDBStreamBatchInfo` nor `schema`"));
    }
    Ok(())
}

fn document(text: &str) -> Result<Lost, RedriveError> {
    let Document { request, batch, payload } = serde_json::from_str(text).map_err(RedriveError::not_read)?;
    let records = match (payload, batch.start_sequence_number, batch.end_sequence_number) {
        (_, None, _) | (_, _, None) => LostRecords::None,
        (Some(payload), ..) => LostRecords::Event(event(payload)?.into()),
        (None, Some(first), Some(last)) => LostRecords::Range { first, last },
    };
    Ok(Lost {
        function: request.function_arn,
        reason: request.condition,
        stream: Some(batch.stream_arn),
        shard: Some(batch.shard_id.into()),
        count: batch.batch_size.unwrap_or_default(),
        records,
    })
}

/// The event is in a text (ESM-48); emulators were seen to put it there as it is.
fn event(payload: &RawValue) -> Result<String, RedriveError> {
    match payload.get().starts_with('"') {
        true => serde_json::from_str(payload.get()).map_err(RedriveError::not_read),
        false => Ok(payload.get().to_owned()),
    }
}
