//! A function in this process.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};

use crate::{
    dispatch::Dispatcher,
    handler::{Context, Deadline},
    source::mapping::{Answer, Target, failure::random_uuid},
};

/// A dispatcher as the function of a mapping.
///
/// Its answers name the first unfinished record, so switch on
/// [`report_item_failures`](crate::source::mapping::Settings::report_item_failures).
#[derive(Clone)]
pub struct InProcess {
    dispatcher: Dispatcher,
    name: Arc<str>,
    timeout: Duration,
}

impl InProcess {
    /// A dispatcher under the name of a function; an invocation may take 30 seconds.
    pub fn new(name: impl Into<Arc<str>>, dispatcher: impl Into<Dispatcher>) -> Self {
        Self { dispatcher: dispatcher.into(), name: name.into(), timeout: Duration::from_secs(30) }
    }

    /// How long an invocation may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

impl Target for InProcess {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer> {
        let id = random_uuid();
        let deadline = Deadline::after(self.timeout);
        let context = Context { function: self.name.clone(), request_id: Some(id.as_str().into()), deadline };
        async move {
            let answer = match self.dispatcher.dispatch(event, &context).await {
                Ok(report) => Answer::returned(serde_json::to_vec(&report.response()).expect("a response is JSON")),
                Err(error) => Answer::failed(error.to_string()),
            };
            answer.with_request_id(id)
        }
        .boxed()
    }
}
