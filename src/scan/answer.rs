//! Takes the body of an answer away from the SDK before it parses it: parsing items into the SDK's own types, and those
//! into yours, is most of what a scan costs.
//!
//! Everything else stays the SDK's. An interceptor swaps the body of a successful answer for one that reads through the
//! same connection, under the same timeouts and retries, keeps what it reads, and shows the SDK an empty object. An answer
//! that is an error is not touched: the SDK reads it, classes it, and tries again.

use std::{
    error::Error,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    operation::{query::QueryError, scan::ScanError},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeDeserializationInterceptorContextMut, FinalizerInterceptorContextRef},
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use bytes::Bytes;
use flate2::Crc;
use http_body::{Body, Frame, SizeHint};

use crate::aws::FailureKind;

/// What the SDK is shown of every page.
const NOTHING: &[u8] = b"{}";
/// DynamoDB's checksum of the body.
const CHECKSUM: &str = "x-amz-crc32";

/// What one call has come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    body: Option<Bytes>,
    throttled: u32,
}

impl Answer {
    /// The body of the last attempt, if it was a success and read to its end.
    pub(super) fn take_body(&self) -> Option<Bytes> {
        self.lock().body.take()
    }

    /// How many attempts of the call were throttled.
    pub(super) fn throttled(&self) -> u32 {
        self.lock().throttled
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "anabranch::scan::Answer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.lock().body = None;
        let response = context.response_mut();
        if response.status().is_success() {
            let checksum = response.headers().get(CHECKSUM).and_then(|text| text.parse().ok());
            let body = mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = SdkBody::from_body_1_x(Kept::new(body, checksum, self.clone()));
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let error = context.output_or_error().and_then(Result::err).and_then(|error| error.as_operation_error());
        let code = error.and_then(|error| match error.downcast_ref::<ScanError>() {
            Some(error) => error.code(),
            None => error.downcast_ref::<QueryError>().and_then(ProvideErrorMetadata::code),
        });
        if code.map(FailureKind::of) == Some(FailureKind::Throttled) {
            self.lock().throttled += 1;
        }
        Ok(())
    }
}

/// A body that is read and kept, and looks like an empty object.
struct Kept {
    body: SdkBody,
    read: Vec<u8>,
    checksum: Option<u32>,
    answer: Answer,
    done: bool,
}

impl Kept {
    fn new(body: SdkBody, checksum: Option<u32>, answer: Answer) -> Self {
        let length = body.content_length().and_then(|length| usize::try_from(length).ok());
        // Room for a page; a header that promises more is not believed.
        let read = Vec::with_capacity(length.unwrap_or_default().min(1 << 21));
        Self { body, read, checksum, answer, done: false }
    }

    fn finish(&mut self) -> Result<(), Damaged> {
        if let Some(expected) = self.checksum {
            let mut found = Crc::new();
            found.update(&self.read);
            if found.sum() != expected {
                return Err(Damaged);
            }
        }
        self.answer.lock().body = Some(mem::take(&mut self.read).into());
        Ok(())
    }
}

/// The SDK takes it for what it is, a damaged transfer, and tries again.
#[derive(Debug, thiserror::Error)]
#[error("the body does not match the checksum of its header `{CHECKSUM}`")]
struct Damaged;

impl Body for Kept {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        while !self.done {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()? {
                // Trailers say nothing of the page.
                Some(frame) => self.read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                None => {
                    self.done = true;
                    self.finish()?;
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(NOTHING)))));
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(NOTHING.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use serde_json::json;

    use super::*;
    use crate::aws::double;

    async fn scan(answers: Vec<double::Answer>) -> (Answer, Result<Option<i32>, String>) {
        let mut answers = answers.into_iter();
        let config = double::config(move |_, _| answers.next().unwrap()).await;
        let answer = Answer::default();
        let call = Client::new(&config).scan().table_name("Pets").customize().interceptor(answer.clone());
        let output = call.send().await;
        (answer, output.map(|output| output.items.map(|_| output.count)).map_err(|error| format!("{error:?}")))
    }

    #[tokio::test]
    async fn the_body_is_kept_and_the_sdk_sees_none() {
        let page = json!({"Items": [{"PK": {"S": "a"}}], "Count": 1});
        let (answer, output) = scan(vec![(200, page.clone())]).await;
        assert_eq!(output, Ok(None));
        assert_eq!(answer.take_body().unwrap(), page.to_string());
        assert_eq!(answer.throttled(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn errors_stay_the_sdk_s() {
        let throttle = double::error(400, "ProvisionedThroughputExceededException", "slow down");
        let failure = double::error(500, "InternalServerError", "oh");
        let (answer, output) = scan(vec![throttle.clone(), failure, throttle, (200, json!({"Count": 0}))]).await;
        assert_eq!((output, answer.throttled()), (Ok(None), 2));
        assert_eq!(answer.take_body().unwrap(), r#"{"Count":0}"#);
        let (answer, output) = scan(vec![double::error(400, "ResourceNotFoundException", "no such table")]).await;
        assert!(output.unwrap_err().contains("ResourceNotFoundException") && answer.take_body().is_none());
    }

    fn kept(checksum: Option<u32>) -> (Kept, Answer) {
        let answer = Answer::default();
        (Kept::new(SdkBody::from("a page"), checksum, answer.clone()), answer)
    }

    #[tokio::test]
    async fn a_damaged_body_is_an_error_of_the_transfer() {
        let read = |body| async move {
            aws_smithy_types::byte_stream::ByteStream::new(SdkBody::from_body_1_x(body)).collect().await
        };
        let mut right = Crc::new();
        right.update(b"a page");
        for checksum in [None, Some(right.sum())] {
            let (body, answer) = kept(checksum);
            assert_eq!(read(body).await.unwrap().into_bytes(), NOTHING);
            assert_eq!(answer.take_body().unwrap(), "a page");
        }
        let (body, answer) = kept(Some(7));
        assert!(format!("{:?}", read(body).await.unwrap_err()).contains("Damaged"));
        assert!(answer.take_body().is_none());
    }
}
