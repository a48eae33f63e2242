//! One request, ready to be sent for any page.

use std::{collections::HashMap, error::Error};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, ReturnConsumedCapacity, Select},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;

use super::{Cursor, answer::Answer};
use crate::aws::AwsFailure;

/// A request with its names aliased and its values converted.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) index: Option<String>,
    /// The condition of a query, and whether it reads forward.
    pub(super) condition: Option<(String, bool)>,
    pub(super) filter: Option<String>,
    pub(super) projection: Option<String>,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
    pub(super) consistent: bool,
    /// Whether the items stay where they are.
    pub(super) count_only: bool,
}

/// What one call came to.
pub(super) struct Sent {
    pub(super) body: Result<Bytes, AwsFailure>,
    pub(super) throttled: u32,
}

impl Request {
    /// Asks for the page behind a cursor.
    pub(super) async fn send(&self, cursor: &Cursor, limit: Option<i32>) -> Sent {
        let answer = Answer::default();
        let sent = match &self.condition {
            Some((condition, forward)) => self.query(condition, *forward, cursor, limit, &answer).await,
            None => self.scan(cursor, limit, &answer).await,
        };
        let body = sent.and_then(|()| answer.take_body().ok_or_else(no_body));
        Sent { body, throttled: answer.throttled() }
    }

    async fn scan(&self, cursor: &Cursor, limit: Option<i32>, answer: &Answer) -> Result<(), AwsFailure> {
        let divided = cursor.segments > 1;
        let scan = self.client.scan().table_name(&self.table).set_index_name(self.index.clone());
        let scan = scan.set_filter_expression(self.filter.clone()).set_projection_expression(self.projection.clone());
        let scan = scan.set_expression_attribute_names(self.names.clone());
        let scan = scan.set_expression_attribute_values(self.values.clone());
        let scan = scan.set_segment(divided.then_some(cursor.segment as i32));
        let scan = scan.set_total_segments(divided.then_some(cursor.segments as i32));
        let scan = scan.set_exclusive_start_key(start_key(cursor)).set_limit(limit).consistent_read(self.consistent);
        let scan = scan.set_select(self.count_only.then_some(Select::Count));
        let scan = scan.return_consumed_capacity(ReturnConsumedCapacity::Total);
        done(scan.customize().interceptor(answer.clone()).send().await)
    }

    async fn query(
        &self,
        condition: &str,
        forward: bool,
        cursor: &Cursor,
        limit: Option<i32>,
        answer: &Answer,
    ) -> Result<(), AwsFailure> {
        let query = self.client.query().table_name(&self.table).set_index_name(self.index.clone());
        let query = query.key_condition_expression(condition).scan_index_forward(forward);
        let query = query.set_filter_expression(self.filter.clone()).set_projection_expression(self.projection.clone());
        let query = query.set_expression_attribute_names(self.names.clone());
        let query = query.set_expression_attribute_values(self.values.clone());
        let query = query.set_exclusive_start_key(start_key(cursor)).set_limit(limit).consistent_read(self.consistent);
        let query = query.set_select(self.count_only.then_some(Select::Count));
        let query = query.return_consumed_capacity(ReturnConsumedCapacity::Total);
        done(query.customize().interceptor(answer.clone()).send().await)
    }
}

fn start_key(cursor: &Cursor) -> Option<HashMap<String, AttributeValue>> {
    cursor.key.clone().map(Into::into)
}

fn done<R, E>(answer: Result<R, SdkError<E, HttpResponse>>) -> Result<(), AwsFailure>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    answer.map(drop).map_err(|error| AwsFailure::of(&error))
}

/// The SDK reports success and the interceptor has seen none: a client that does not run interceptors as all others do.
#[cold]
fn no_body() -> AwsFailure {
    AwsFailure::without_answer("the SDK reports success without an answer that was read")
}
